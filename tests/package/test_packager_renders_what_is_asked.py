"""From locks to lockfiles, a tarball and an image, each out of packages that are really packed and read."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from condarium.database import archives, images, logs
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import OCI_INDEX
from condarium.domain.lock import Lock
from condarium.storage import blob_key
from tests.fixtures.packager import RunningPackager, store_tiny_base
from tests.fixtures.packages import Put, lock_of, make_package, make_wheel


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """Three small packages, one of them with a prefix in a file."""
    directory = tmp_path / "channel"
    directory.mkdir()
    records = [
        make_package(directory, "alpha", [Put("bin/alpha", b"#!/bin/sh\n")]),
        make_package(directory, "beta", [Put("share/beta", b"beta" * 1000)], depends=["alpha"]),
        make_package(directory, "gamma", [Put("lib/gamma", bytes(range(256)) * 40)]),
    ]
    return lock_of(records, requested=("beta", "gamma"))


def tarball(packager: RunningPackager, lock: Lock, codec: archives.Codec = "gz") -> bytes:
    with packager.content.database.transaction() as session:
        found = archives.find(session, lock.hash, codec)
    assert found is not None
    data = b"".join(packager.read(blob_key(digest)) for digest, _ in found.parts)
    assert len(data) == found.size
    return data


def test_everything_eager_is_made_and_the_environment_is_ready(packager: RunningPackager, lock: Lock) -> None:
    build_id = packager.build("env", lock)
    rows = packager.wait_all(build_id)
    assert {kind: row.state for kind, row in rows.items()} == dict.fromkeys(
        ("LOCKFILE", "YAML", "LOGS", "CONDA_PACK", "DOCKER_MANIFEST"), "READY"
    ), {kind: row.reason for kind, row in rows.items()}

    document = json.loads(packager.read(rows["LOCKFILE"].key))
    assert document["version"] == 1
    assert [package["name"] for package in document["package"]] == ["alpha", "beta", "gamma"]
    assert rows["LOCKFILE"].key == f"lockfile/{key_of(packager, build_id)}.json"
    text = packager.read(rows["YAML"].key).decode()
    assert "name: env\n" in text
    assert "beta=1.0=0" in text
    for kind in ("LOCKFILE", "YAML", "LOGS"):
        data = packager.read(rows[kind].key)
        assert rows[kind].digest == hashlib.sha256(data).hexdigest()
        assert rows[kind].size == len(data)

    with tarfile.open(fileobj=io.BytesIO(tarball(packager, lock))) as tar:
        names = set(tar.getnames())
        shared = tar.extractfile("share/beta")
        assert shared is not None
        assert shared.read() == b"beta" * 1000
    assert {"bin/alpha", "lib/gamma", "bin/activate", "bin/conda-unpack", "conda-meta/history"} <= names

    events = routing_keys(packager)
    assert events.count("artifact.ready.v1") == 5
    assert events.count("environment.ready.v1") == 1
    assert events[-1] == "environment.ready.v1"


def key_of(packager: RunningPackager, build_id: int) -> str:
    from condarium.database import builds

    with packager.content.database.transaction() as session:
        return builds.load(session, build_id).key


def routing_keys(packager: RunningPackager) -> list[str]:
    from sqlalchemy import text

    with packager.content.database.transaction() as session:
        query = text("select routing_key from outbox where source = 'packager' order by id")
        return list(session.execute(query).scalars())


def test_the_image_holds_the_packages_in_both_encodings(packager: RunningPackager, lock: Lock) -> None:
    build_id = packager.build("env", lock, eager=["DOCKER_MANIFEST"])
    row = packager.wait(build_id, "DOCKER_MANIFEST")
    assert row.digest is not None
    with packager.content.database.transaction() as session:
        manifests = {item.media_type: item for item in images.encodings(session, row.digest)}
    assert set(manifests) == {OCI_MANIFEST, DOCKER_MANIFEST}
    assert manifests[OCI_MANIFEST].digest == row.digest
    manifest = json.loads(manifests[OCI_MANIFEST].body)
    twin = json.loads(manifests[DOCKER_MANIFEST].body)
    assert [layer["digest"] for layer in manifest["layers"]] == [layer["digest"] for layer in twin["layers"]]
    config = json.loads(packager.read(blob_key(manifest["config"]["digest"].removeprefix("sha256:"))))
    assert config["config"]["Labels"]["condarium.lock"] == f"sha256:{lock.hash}"
    paths: dict[str, bytes] = {}
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        packed = packager.read(blob_key(layer["digest"].removeprefix("sha256:")))
        assert len(packed) == layer["size"]
        raw = gzip.decompress(packed)
        assert diff_id == f"sha256:{hashlib.sha256(raw).hexdigest()}"
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            for member in tar.getmembers():
                if member.isreg():
                    content = tar.extractfile(member)
                    assert content is not None
                    paths[member.name] = content.read()
    assert paths["etc/base"] == b"base"
    assert paths["opt/env/share/beta"] == b"beta" * 1000
    assert b"beta" in paths["opt/env/conda-meta/history"]
    assert row.size == sum(layer["size"] for layer in manifest["layers"])


@pytest.mark.parametrize(
    ("kind", "start"),
    [("CONDA_LOCK", b"# linux-64"), ("EXPLICIT", b"# "), ("RATTLER_LOCK", b"")],
)
def test_other_lockfiles_are_made_on_demand(packager: RunningPackager, lock: Lock, kind: str, start: bytes) -> None:
    build_id = packager.build("env", lock, eager=[])
    packager.ask(build_id, kind)
    row = packager.wait(build_id, kind)
    data = packager.read(row.key)
    assert data.startswith(start)
    for record in lock.conda:
        assert record.sha256.encode() in data


def test_the_zstd_tarball_is_made_on_demand(packager: RunningPackager, lock: Lock) -> None:
    import zstandard

    build_id = packager.build("env", lock, eager=[])
    packager.ask(build_id, "CONDA_PACK_ZST")
    packager.wait(build_id, "CONDA_PACK_ZST")
    data = tarball(packager, lock, "zst")
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as raw:
        unpacked = io.BytesIO(raw.read())
    with tarfile.open(fileobj=unpacked) as tar:
        names = tar.getnames()
    assert {"bin/alpha", "bin/activate"} <= set(names)


def test_the_installer_is_a_header_and_the_tarball(packager: RunningPackager, lock: Lock, tmp_path: Path) -> None:
    build_id = packager.build("env", lock, eager=["CONDA_PACK"])
    packager.wait(build_id, "CONDA_PACK")
    packager.ask(build_id, "CONSTRUCTOR_INSTALLER")
    row = packager.wait(build_id, "CONSTRUCTOR_INSTALLER")
    data, members = tarball(packager, lock, "sh"), tarball(packager, lock)
    assert row.size == len(data)
    assert data.endswith(members)
    assert len(data) - len(members) < 20_000
    (tmp_path / "env-1.sh").write_bytes(data)
    subprocess.run(["sh", tmp_path / "env-1.sh", "-b", "-p", tmp_path / "env"], check=True, capture_output=True)
    assert {"alpha", "activate", "conda-unpack"} <= {path.name for path in (tmp_path / "env" / "bin").iterdir()}
    again = packager.build("other", lock, eager=["CONSTRUCTOR_INSTALLER"])
    assert packager.wait(again, "CONSTRUCTOR_INSTALLER").digest == row.digest, "the same lock, the same bytes"


def test_there_is_no_installer_for_windows_only(packager: RunningPackager, lock: Lock) -> None:
    build_id = packager.build("env", lock_of(lock.conda, platform="win-64"), eager=["CONSTRUCTOR_INSTALLER"])
    row = packager.wait(build_id, "CONSTRUCTOR_INSTALLER", state="FAILED")
    assert row.reason == "installers are made for Linux and macOS, not for Windows"


def test_wheels_are_layers_and_members_too(packager: RunningPackager, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "delta", {"delta/__init__.py": b"x = 1\n"})
    record = make_package(tmp_path, "alpha", [Put("bin/alpha", b"#!/bin/sh\n")])
    python = make_package(tmp_path, "python", [Put("bin/python3.11", b"")], version="3.11.7")
    lock = lock_of([record, python], [wheel])
    build_id = packager.build("env", lock)
    rows = packager.wait_all(build_id)
    assert {row.state for row in rows.values()} == {"READY"}, [row.reason for row in rows.values()]
    with tarfile.open(fileobj=io.BytesIO(tarball(packager, lock))) as tar:
        assert "lib/python3.11/site-packages/delta/__init__.py" in tar.getnames()


def test_several_platforms_are_an_index_of_those_that_have_a_base(packager: RunningPackager, lock: Lock) -> None:
    others = [lock_of(lock.conda, platform=name) for name in ("linux-aarch64", "osx-arm64", "win-64")]
    store_tiny_base(packager.content, "linux-aarch64")
    build_id = packager.build("env", lock, *others)
    rows = packager.wait_all(build_id)
    image = rows["DOCKER_MANIFEST"]
    assert image.state == "READY", image.reason
    assert image.reason is not None
    assert "without osx-arm64: there are no images for the platform osx-arm64" in image.reason
    assert image.digest is not None
    with packager.content.database.transaction() as session:
        index = {item.media_type: item for item in images.encodings(session, image.digest)}[OCI_INDEX]
        platforms = {item.platform for item in images.members(session, image.digest)}
        assert archives.find(session, others[1].hash, "gz") is not None
    assert platforms == {"linux-64", "linux-aarch64"}
    assert len(json.loads(index.body)["manifests"]) == 2
    assert rows["CONDA_PACK"].state == "READY"
    assert "without win-64" in (rows["CONDA_PACK"].reason or "")


def test_the_log_is_joined_when_the_build_has_ended(packager: RunningPackager, lock: Lock) -> None:
    build_id = packager.build("env", lock, completed=False)
    with packager.content.database.transaction() as session:
        for number, text in enumerate(("one\n", "two\n")):
            logs.append(session, build_id=build_id, attempt=1, number=number, text=text)
    packager.wait(build_id, "DOCKER_MANIFEST")
    assert packager.artifact(build_id, "LOGS").state == "REQUESTED"
    assert "environment.ready.v1" not in routing_keys(packager)
    packager.content.complete(build_id)
    packager.slots.wake()
    row = packager.wait(build_id, "LOGS")
    assert packager.read(row.key) == b"one\ntwo\n"
    assert routing_keys(packager)[-1] == "environment.ready.v1"


def test_the_log_of_a_failed_build_is_kept_and_its_requests_end(packager: RunningPackager) -> None:
    from condarium.database import artifacts, builds

    made = packager.content.submit("env")
    packager.ask(made.build_id, "CONDA_PACK")
    packager.content.solve(made.build_id)
    with packager.content.database.transaction() as session:
        logs.append(session, build_id=made.build_id, attempt=1, number=0, text="it failed\n")
    packager.content.fail(made.build_id, "numpy 99 does not exist")
    with packager.content.database.transaction() as session:
        artifacts.request_log(session, builds.load(session, made.build_id), ("LOGS", "YAML"))
    packager.slots.wake()
    assert packager.read(packager.wait(made.build_id, "LOGS").key) == b"it failed\n"
    ended = packager.wait(made.build_id, "CONDA_PACK", state="FAILED")
    assert ended.reason is not None
    assert "before it was solved: numpy 99 does not exist" in ended.reason


def test_the_same_lock_gives_the_same_digests_in_another_installation(
    packager: RunningPackager, lock: Lock, empty_database_url: str, tmp_path: Path
) -> None:
    from condarium.database import migrate
    from tests.fixtures.packager import running_packager
    from tests.fixtures.served import served

    first = packager.wait_all(packager.build("env", lock))
    migrate(empty_database_url)
    (tmp_path / "storage2").mkdir()
    with served(empty_database_url, tmp_path / "storage2") as content:
        store_tiny_base(content)
        with running_packager(content, tmp_path / "cache2", packager_slots=1) as other:
            second = other.wait_all(other.build("other-name", lock))
    for kind in ("CONDA_PACK", "DOCKER_MANIFEST", "LOCKFILE"):
        assert first[kind].digest == second[kind].digest, kind
