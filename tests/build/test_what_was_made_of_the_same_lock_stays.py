"""Another attempt, or another build, that comes to the same lock makes nothing again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from condarium.database import artifacts, builds, locks
from condarium.domain.artifact import ArtifactState, ArtifactType
from condarium.domain.build import Status
from condarium.domain.lock import Lock
from condarium.storage import blob_key
from tests.fixtures.served import Served, make_lock, served

EAGER = ("LOCKFILE", "YAML", "LOGS")


@pytest.fixture
def content(database_url: str, storage_dir: Path) -> Iterator[Served]:
    with served(database_url, storage_dir) as found:
        yield found


def solve(content: Served, build_id: int, lock: Lock) -> None:
    """What the builder does with a child's locks."""
    with content.database.transaction() as session:
        build = builds.load(session, build_id, lock=True)
        same = locks.store(session, build, {lock.platform: lock}, actor="test")
        artifacts.request_eager(session, build, EAGER, same_locks=same)


def make(content: Served, build_id: int, kind: ArtifactType) -> None:
    held = content.claim(build_id, kind)
    with content.database.transaction() as session:
        artifacts.ready(
            session, held, builds.load(session, build_id), digest="ab" * 32, size=1, key=blob_key("ab" * 32)
        )


def states(content: Served, build_id: int) -> dict[str, str]:
    with content.database.transaction() as session:
        return {row.artifact_type: row.state for row in artifacts.of_build(session, build_id)}


def failed_build(content: Served) -> int:
    """Its lockfile is made, its YAML could not be, its log is there."""
    build_id = content.submit("first").build_id
    solve(content, build_id, make_lock("zlib"))
    make(content, build_id, ArtifactType.LOCKFILE)
    held = content.claim(build_id, ArtifactType.YAML)
    with content.database.transaction() as session:
        artifacts.fail(session, held, builds.load(session, build_id), message="no room")
    with content.database.transaction() as session:
        build = builds.load(session, build_id, lock=True)
        builds.move(session, build, Status.BUILDING)
        builds.move(session, build, Status.FAILED)
    make(content, build_id, ArtifactType.LOGS)
    with content.database.transaction() as session:
        builds.retry(session, builds.load(session, build_id, lock=True), actor="test")
    return build_id


def test_the_same_lock_keeps_what_is_ready(content: Served) -> None:
    build_id = failed_build(content)
    solve(content, build_id, make_lock("zlib"))
    assert states(content, build_id) == {
        "LOCKFILE": ArtifactState.READY,
        "YAML": ArtifactState.REQUESTED,
        # The log of the second attempt is not in it.
        "LOGS": ArtifactState.REQUESTED,
    }


def test_another_lock_has_everything_made_anew(content: Served) -> None:
    build_id = failed_build(content)
    solve(content, build_id, make_lock("xz"))
    assert set(states(content, build_id).values()) == {ArtifactState.REQUESTED}
