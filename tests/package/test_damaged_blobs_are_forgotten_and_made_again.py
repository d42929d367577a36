"""`store verify`: what storage holds is read against its digests; what is damaged or away is made again, of the same
bytes."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from condarium.conda.base_image import store_layer, write_base
from condarium.database import archives, artifacts, builds, images, package_copies, referrers
from condarium.domain.archive import joined_prefix
from condarium.domain.image import BaseImage, ImageLayer
from condarium.domain.lock import Lock
from condarium.domain.oci_channel import Part, Parts
from condarium.storage import blob_key
from services.packager.base_image import store_base
from services.packager.referrers import referrer_slots
from services.packager.sweeping import verifying
from tests.fixtures.packager import ROOT, RunningPackager, running_packager
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.patience import wait_for
from tests.fixtures.referrers import wait_until_made
from tests.fixtures.served import Served

MADE = ("CONDA_PACK", "DOCKER_MANIFEST")


@pytest.fixture
def packager(content: Served, tmp_path: Path) -> Iterator[RunningPackager]:
    with running_packager(content, tmp_path / "cache") as running:
        slots = referrer_slots(running.work, running.children)
        slots.start()
        yield running
        slots.quit()
        running.children.stop()
        slots.join()


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    directory = tmp_path / "channel"
    directory.mkdir()
    return lock_of([make_package(directory, name, [Put(f"share/{name}", name.encode() * 999)]) for name in "ab"])


def verify(packager: RunningPackager, *, repair: bool = False, sample: float = 1.0) -> dict[str, Any]:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
    return verifying.verify(packager.work, environ, {"repair": repair, "sample": sample}, lambda: None)


def damage(packager: RunningPackager, digest: str) -> None:
    """The same size, other bytes: nothing but reading tells."""
    path = packager.content.storage.path(blob_key(digest))
    assert path is not None
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    path.write_bytes(flipped)


def parts_of(packager: RunningPackager, lock: Lock) -> list[str]:
    with packager.content.database.transaction() as session:
        found = archives.find(session, lock.hash, "gz")
    assert found is not None
    return [digest for digest, _ in found.parts]


def blobs_of(packager: RunningPackager, digest: str) -> dict[str, str]:
    """What an image names: kinds of blobs by their digest."""
    with packager.content.database.transaction() as session:
        rows = session.execute(
            text("select blob_digest, media_type from image_blobs where image_digest = :digest"), {"digest": digest}
        )
        return {row[0]: row[1] for row in rows}


def bytes_of(packager: RunningPackager, digests: list[str]) -> bytes:
    return b"".join(packager.read(blob_key(digest)) for digest in digests)


def ask_again(packager: RunningPackager, build_id: int) -> dict[str, str | None]:
    for kind in MADE:
        packager.ask(build_id, kind)
    return {kind: packager.wait(build_id, kind).digest for kind in MADE}


def test_an_image_and_a_tarball_come_back_of_the_same_bytes(packager: RunningPackager, lock: Lock) -> None:
    build_id = packager.build("env", lock, eager=MADE)
    first = {kind: packager.wait(build_id, kind).digest for kind in MADE}
    wait_until_made(packager.content, build_id)
    image = first["DOCKER_MANIFEST"]
    assert image is not None
    parts, blobs = parts_of(packager, lock), blobs_of(packager, image)
    tarball, before = bytes_of(packager, parts), {digest: packager.read(blob_key(digest)) for digest in blobs}
    sound = verify(packager)
    assert sound["bad"] == []
    assert 0 < verify(packager, sample=0.2)["checked"] < sound["checked"]

    tiny = next(digest for digest, kind in blobs.items() if kind == "config")
    with packager.content.database.transaction() as session:
        base = set(session.execute(text("select layers->0->>'digest' from base_images")).scalars())
    layer = next(digest for digest, kind in blobs.items() if kind.startswith("layer") and digest not in base)
    damage(packager, parts[0])
    damage(packager, layer)
    packager.content.storage.delete(blob_key(tiny))
    joined = f"{joined_prefix(lock.hash)}0123.tar.gz"
    packager.content.storage.put(joined, b"put together out of what was damaged")

    found = verify(packager)
    assert {each["digest"]: each["what"] for each in found["bad"]} == {
        parts[0]: "damaged",
        layer: "damaged",
        tiny: "missing",
    }
    assert found["repaired"] == 0
    assert packager.content.storage.stat(blob_key(layer)) is not None, "looking changes nothing"

    mended = verify(packager, repair=True)
    assert (mended["bad_count"], mended["repaired"]) == (3, 3)
    assert packager.content.storage.stat(joined) is None
    with packager.content.database.transaction() as session:
        assert archives.find(session, lock.hash, "gz") is None
        assert images.encodings(session, image) == []
        kinds = {row.artifact_type for row in artifacts.of_build(session, build_id)}
    assert not kinds & set(MADE), "who asks gets them made"
    assert verify(packager)["bad"] == []

    assert ask_again(packager, build_id) == first
    assert bytes_of(packager, parts_of(packager, lock)) == tarball
    assert {digest: packager.read(blob_key(digest)) for digest in blobs_of(packager, image)} == before
    assert verify(packager)["bad"] == []


def test_a_damaged_referrer_is_made_again(packager: RunningPackager, lock: Lock) -> None:
    build_id = packager.build("env", lock, eager=MADE)
    image = packager.wait(build_id, "DOCKER_MANIFEST").digest
    wait_until_made(packager.content, build_id)
    with packager.content.database.transaction() as session:
        (bill,) = [
            one
            for one in referrers.of_build(session, build_id)
            if one.artifact_type.startswith("application/spdx") and one.subject == image
        ]
        digest = next(blob.digest for blob in referrers.blobs_of(session, bill.digest) if blob.size > 2)
    damage(packager, digest)
    mended = verify(packager, repair=True)
    assert (mended["bad_count"], mended["repaired"]) == (1, 1)
    wait_until_made(packager.content, build_id)
    assert verify(packager)["bad"] == []
    with packager.content.database.transaction() as session:
        assert bill.digest in [one.digest for one in referrers.of_build(session, build_id)]
        assert images.encodings(session, str(image)) != [], "the image is sound"
    assert hashlib.sha256(packager.read(blob_key(digest))).hexdigest() == digest


def test_a_damaged_copy_of_a_package_is_fetched_again_when_it_is_asked_for(
    packager: RunningPackager, lock: Lock
) -> None:
    build_id = packager.build("env", lock, eager=())
    with packager.content.database.transaction() as session:
        environment = builds.load(session, build_id).environment
        asked = package_copies.demand(session, environment, lock.conda[0], actor="test")

    def copy() -> Parts | None:
        with packager.content.database.transaction() as session:
            environment = builds.load(session, build_id).environment
            return package_copies.demand(session, environment, lock.conda[0], actor="test").parts

    made = wait_for(copy, seconds=60)
    assert asked.parts is None
    for part in (made.archive, made.info, made.index):
        assert isinstance(part, Part)
    damage(packager, made.info.digest)
    assert verify(packager, repair=True)["repaired"] == 1
    assert copy() is None, "it is asked for anew"
    assert wait_for(copy, seconds=60) == made
    assert verify(packager)["bad"] == []


def test_a_layer_of_a_base_image_is_brought_again_where_it_can_be(content: Served, lock: Lock, tmp_path: Path) -> None:
    directory = tmp_path / "base"
    written = store_layer(directory, [b"\0" * 10240])
    layer = ImageLayer(written.digest, written.diff_id, written.size, "a base")
    write_base(directory, BaseImage("amd64", (layer,), {}, (), ""))
    with running_packager(content, tmp_path / "cache", base_image=directory) as packager:
        store_base(content.database, content.storage, directory)
        build_id = packager.build("env", lock, eager=("DOCKER_MANIFEST",))
        image = packager.wait(build_id, "DOCKER_MANIFEST").digest
        with content.database.transaction() as session:
            tiny = session.execute(text("select layers->0->>'digest' from base_images where not is_default")).scalar()
        damage(packager, written.digest)
        damage(packager, str(tiny))
        mended = verify(packager, repair=True)
        assert (mended["bad_count"], mended["repaired"]) == (2, 1), "nobody can make the other one again"
        (left,) = [each for each in mended["bad"] if "base_images" in each]
        assert left["digest"] == tiny
        assert packager.artifact(build_id, "DOCKER_MANIFEST").digest == image, "its images lack nothing"
        assert [each["digest"] for each in verify(packager)["bad"]] == [tiny]
