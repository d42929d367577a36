"""Equal locks in two namespaces, and other settings: each repository serves its own image and not the neighbour's."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from condarium.database import referrers
from condarium.database.tables import BuildArtifact
from condarium.domain.artifact import ArtifactType
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from condarium.domain.referrers.manifest import Part, render_referrer
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock

PLATFORMS = {"one": ("linux-64",), "many": ("linux-64", "linux-aarch64")}
ENCODINGS = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
PAIRS = [
    (mine, theirs) for name in PLATFORMS for mine, theirs in ((f"a/{name}", f"b/{name}"), (f"b/{name}", f"a/{name}"))
]


@pytest.fixture(scope="module")
def registry(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRegistry]:
    from tests.fixtures.infrastructure import _database

    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_registry(url, tmp_path_factory.mktemp("storage")) as running:
            for namespace in ("a", "b"):
                for name, platforms in PLATFORMS.items():
                    running.plan = f"labels of {namespace}/{name}"
                    made = running.submit(name, namespace=namespace)
                    running.solve(made.build_id, *(make_lock("zlib", platform) for platform in platforms))
                    running.complete(made.build_id)
                    running.make_image(made.build_id, {f"opt/env/{name}": namespace.encode()})
            yield running


def paths(registry: RunningRegistry, name: str) -> set[str]:
    """Everything that the images of a repository are made of, in all encodings."""
    found: set[str] = set()
    for media_type in ENCODINGS:
        reply = registry.admin.get(f"/v2/{name}/manifests/latest", headers={"accept": media_type})
        if reply.status_code == 200:
            found |= of_manifest(registry, name, reply)
    return found


def of_manifest(registry: RunningRegistry, name: str, reply: httpx.Response) -> set[str]:
    content = reply.json()
    found = {f"manifests/{reply.headers['docker-content-digest']}"}
    found |= {f"manifests/sha512:{hashlib.sha512(reply.content).hexdigest()}"}
    for member in content.get("manifests", ()):
        path = f"manifests/{member['digest']}"
        found |= of_manifest(registry, name, registry.admin.get(f"/v2/{name}/{path}"))
    if "config" in content:
        found |= {f"blobs/{one['digest']}" for one in (content["config"], *content["layers"])}
    return found


@pytest.mark.parametrize(("mine", "theirs"), PAIRS)
def test_own_is_served_and_foreign_is_not(registry: RunningRegistry, mine: str, theirs: str) -> None:
    own, foreign = paths(registry, mine), paths(registry, theirs)
    assert len(own) >= 6
    assert own.isdisjoint(foreign)
    assert {registry.admin.head(f"/v2/{mine}/{path}").status_code for path in own} == {200}
    assert {registry.admin.head(f"/v2/{mine}/{path}").status_code for path in foreign} == {404}


def test_what_was_made_before_other_settings_stays_while_something_refers_to_it(registry: RunningRegistry) -> None:
    made = registry.submit("changed", namespace="a")
    registry.solve(made.build_id, make_lock("zlib"))
    registry.complete(made.build_id)
    registry.plan = "before"
    digest = registry.make_image(made.build_id, {"opt/env/x": b"before"})
    old = paths(registry, "a/changed")
    with registry.database.transaction() as session:
        (subject,) = (one.subject for one in referrers.subjects(session, made.build_id) if one.subject.digest == digest)
        referrers.store(session, made.build_id, [render_referrer(subject, Part.of(b"{}", "application/x"))])
        session.execute(
            update(BuildArtifact)
            .where(
                BuildArtifact.build_id == made.build_id,
                BuildArtifact.artifact_type == ArtifactType.DOCKER_MANIFEST.value,
            )
            .values(state="REQUESTED", digest=None)
        )
    registry.plan = "after"
    registry.make_image(made.build_id, {"opt/env/x": b"after"})
    assert registry.admin.get("/v2/a/changed/manifests/latest").headers["docker-content-digest"] != f"sha256:{digest}"
    assert registry.admin.get(f"/v2/a/changed/manifests/sha256:{digest}").status_code == 200
    assert {registry.admin.head(f"/v2/a/changed/{path}").status_code for path in old if "blobs" in path} == {200}
