"""Artifacts are asked for while a builder or a gateway holds the build's row: neither waits for the other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from condarium.database import artifacts, builds, leases
from condarium.domain.artifact import ArtifactState, ArtifactType
from tests.fixtures.patience import patient
from tests.fixtures.served import Served, served

IMAGE = ArtifactType.DOCKER_MANIFEST


def ask(content: Served, build_id: int) -> str:
    with content.database.transaction() as session:
        build = builds.load(session, build_id)
        return artifacts.request(session, build, IMAGE, actor="a", source="registry", priority=10).state


def test_a_pull_beside_the_transaction_that_stores_the_locks(database_url: str, storage_dir: Path) -> None:
    with served(database_url, storage_dir) as content, ThreadPoolExecutor(1) as pool:
        made = content.submit("env")
        with content.database.transaction() as session:
            held = leases.claim(session, builds.CLAIMABLE, owner="builder", lease_seconds=60)
            assert held is not None
        with content.database.transaction() as session:
            build = builds.load_claimed(session, held)
            assert pool.submit(ask, content, made.build_id).result(patient(5)) == ArtifactState.REQUESTED
            artifacts.request_eager(session, build, [IMAGE])
        with content.database.transaction() as session:
            rows = artifacts.of_build(session, made.build_id)
            assert [(row.artifact_type, row.priority) for row in rows] == [(IMAGE, 10)]


def test_a_pull_hides_the_build_from_no_builder(database_url: str, storage_dir: Path) -> None:
    with served(database_url, storage_dir) as content:
        made = content.submit("env")
        with content.database.transaction() as pulling:
            build = builds.load(pulling, made.build_id)
            artifacts.request(pulling, build, IMAGE, actor="a", source="registry")
            with content.database.transaction() as session:
                held = leases.claim(session, builds.CLAIMABLE, owner="builder", lease_seconds=60)
                assert held is not None
                assert held.id == made.build_id
