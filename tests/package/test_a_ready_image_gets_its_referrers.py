"""From a lock to an image to its referrers, without anybody asking; and what holds them up or makes them anew."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from condarium.database import builds, logs, referrer_sets, referrers
from condarium.database.garbage.blobs import forget_missing
from condarium.domain import referrers as media
from condarium.domain.artifact import ArtifactType
from condarium.domain.lock import Lock
from condarium.storage import blob_key
from services.packager.referrers import referrer_slots
from tests.fixtures.packager import RunningPackager, running_packager
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.patience import wait_for
from tests.fixtures.referrers import wait_until_made
from tests.fixtures.served import Served


@pytest.fixture
def packager(content: Served, tmp_path: Path) -> Iterator[RunningPackager]:
    """With the thread that makes referrers, as the service has it."""
    with running_packager(content, tmp_path / "cache", channel_credentials={"x.example": {"token": "hush-hush"}}) as it:
        slots = referrer_slots(it.work, it.children)
        slots.start()
        yield it
        slots.quit()
        it.children.stop()
        slots.join()


def lock(directory: Path, *versions: tuple[str, str]) -> Lock:
    directory.mkdir(exist_ok=True)
    records = [
        make_package(directory, name, [Put(f"share/{name}", version.encode())], version=version)
        for name, version in versions
    ]
    return lock_of(records, requested=tuple(name for name, _ in versions))


def file(content: Served, build_id: int, artifact_type: str) -> bytes:
    with content.database.transaction() as session:
        found = [one for one in referrers.of_build(session, build_id) if one.artifact_type == artifact_type]
        environment = builds.load(session, build_id).environment_id
        manifest = referrers.manifest_of(session, environment, found[0].digest)
    assert manifest is not None
    digest = json.loads(manifest.body)["layers"][0]["digest"].removeprefix("sha256:")
    with content.storage.open(blob_key(digest)) as stored:
        return b"".join(stored)


def test_an_image_has_its_referrers_a_moment_later(packager: RunningPackager, tmp_path: Path) -> None:
    content = packager.content
    first = packager.build("env", lock(tmp_path / "one", ("alpha", "1.0"), ("beta", "1.0")), completed=False)
    with content.database.transaction() as session:
        logs.append(session, build_id=first, attempt=1, number=0, text="solved with hush-hush\n")
    content.complete(first)
    packager.slots.wake()
    packager.wait_all(first)
    wait_until_made(content, first)
    assert b"hush" not in file(content, first, media.LOG)
    assert file(content, first, media.LOG).startswith(b"solved with ")
    spdx = json.loads(file(content, first, media.SPDX))
    assert {one["name"] for one in spdx["packages"]} >= {"alpha", "beta"}
    assert b"@EXPLICIT" in file(content, first, media.EXPLICIT)
    assert b"dependencies:\n- zlib" in file(content, first, media.SPECIFICATION)
    assert b"There is no generation before it." in file(content, first, media.CHANGES_MARKDOWN)

    second = packager.build("env", lock(tmp_path / "two", ("alpha", "1.1"), ("gamma", "1.0")))
    packager.wait(second, "DOCKER_MANIFEST")
    wait_until_made(content, second)
    changes = json.loads(file(content, second, media.CHANGES_JSON))
    assert (changes["previous_generation"], changes["generation"]) == (1, 2)
    assert [one["name"] for one in changes["platforms"]["linux-64"]["added"]] == ["gamma"]
    assert [one["name"] for one in changes["platforms"]["linux-64"]["removed"]] == ["beta"]
    (change,) = changes["platforms"]["linux-64"]["changed"]
    assert (change["before"]["version"], change["after"]["version"]) == ("1.0", "1.1")
    assert b"| alpha | conda | 1.0 0 | 1.1 0 |" in file(content, second, media.CHANGES_MARKDOWN)


def test_nothing_is_signed_before_the_build_is_completed(packager: RunningPackager, tmp_path: Path) -> None:
    content = packager.content
    build_id = packager.build("env", lock(tmp_path / "one", ("alpha", "1.0")), completed=False, eager=("YAML",))
    packager.ask(build_id, "DOCKER_MANIFEST")
    packager.wait(build_id, "DOCKER_MANIFEST")
    with content.database.transaction() as session:
        row = referrer_sets.state_of(session, build_id)
        assert row is not None
        assert (row.state, row.attempt) == ("REQUESTED", 0)
        assert referrers.of_build(session, build_id) == []
    content.complete(build_id)
    wait_until_made(content, build_id)


def test_no_artifact_of_the_contract_shows_them(packager: RunningPackager, tmp_path: Path) -> None:
    build_id = packager.build("env", lock(tmp_path / "one", ("alpha", "1.0")), eager=("DOCKER_MANIFEST",))
    wait_until_made(packager.content, build_id)
    assert set(packager.wait_all(build_id)) == {"DOCKER_MANIFEST"}
    assert "REFERRERS" not in [each.value for each in ArtifactType]


def test_a_deleted_build_takes_them_along(packager: RunningPackager, tmp_path: Path) -> None:
    content = packager.content
    build_id = packager.build("env", lock(tmp_path / "one", ("alpha", "1.0")), eager=("DOCKER_MANIFEST",))
    wait_until_made(content, build_id)
    with content.database.transaction() as session:
        environment = builds.load(session, build_id).environment_id
        image = referrers.subjects(session, build_id)[0].subject.digest
        assert referrers.listed(session, environment, image)
        build = builds.load(session, build_id)
        from sqlalchemy import func, select

        build.deleted_on = session.execute(select(func.clock_timestamp())).scalar_one()
        session.flush()
        assert referrers.listed(session, environment, image) == []
        assert referrers.by_tag(session, environment, f"sha256-{image}.sig") is None
        assert referrers.drop_deleted(session) > 10
        assert referrers.of_build(session, build_id) == []


def test_those_whose_bytes_have_gone_are_made_again(packager: RunningPackager, tmp_path: Path) -> None:
    content = packager.content
    build_id = packager.build("env", lock(tmp_path / "one", ("alpha", "1.0")), eager=("DOCKER_MANIFEST",))
    wait_until_made(content, build_id)

    def blobs_of(artifact_type: str) -> list[str]:
        with content.database.transaction() as session:
            query = text(
                "select distinct blob_digest from referrers join referrer_manifests using (digest) "
                "join referrer_blobs on manifest_digest = digest "
                "where build_id = :build and artifact_type = :type and size > 2"
            )
            return list(session.execute(query, {"build": build_id, "type": artifact_type}).scalars())

    bundles, bills = blobs_of(media.BUNDLE), blobs_of(media.SPDX)
    for digest in (bundles[0], bills[0]):
        content.storage.delete(blob_key(digest))
        with content.database.transaction() as session:
            forget_missing(session, digest)
    wait_until_made(content, build_id)
    assert (len(blobs_of(media.BUNDLE)), blobs_of(media.SPDX)) == (len(bundles), bills)
    for digest in (*blobs_of(media.BUNDLE), *bills):
        assert content.storage.stat(blob_key(digest)) is not None


def test_a_packager_that_dies_is_followed_by_another(content: Served, tmp_path: Path) -> None:
    from condarium.database import leases

    with running_packager(content, tmp_path / "cache") as packager:
        build_id = packager.build("env", lock(tmp_path / "one", ("alpha", "1.0")), eager=("DOCKER_MANIFEST",))
        packager.wait(build_id, "DOCKER_MANIFEST")
        with content.database.transaction() as session:
            held = leases.claim(session, referrer_sets.CLAIMABLE, owner="dead", lease_seconds=0.5)
        assert held is not None
        slots = referrer_slots(packager.work, packager.children)
        slots.start()
        wait_until_made(content, build_id)
        slots.quit()
        packager.children.stop()
        slots.join()

    def attempts() -> int | None:
        with content.database.transaction() as session:
            row = referrer_sets.state_of(session, build_id)
        return row.attempt if row else None

    assert wait_for(attempts, seconds=60) == 2
