"""The file store leaves whole files or none, whatever happens to the writer."""

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from condarium.errors import ConfigError, WorldFault
from condarium.storage import filesystem, open_storage
from condarium.storage.filesystem import FileStorage
from condarium.storage.port import Stored, measure


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    opened = FileStorage(tmp_path / "store")
    opened.prepare()
    return opened


def files(storage: FileStorage) -> list[str]:
    return sorted(str(path.relative_to(storage.root)) for path in storage.root.rglob("*") if path.is_file())


def test_a_failed_put_leaves_no_file(storage: FileStorage) -> None:
    with pytest.raises(WorldFault, match="damaged"):
        storage.put("blobs/sha256/" + "0" * 64, io.BytesIO(b"x"))
    assert files(storage) == []


WRITER = """
import sys
from pathlib import Path
from condarium.storage.filesystem import FileStorage
from condarium.storage.port import Stored, measure

class Slow:
    def read(self, size=-1):
        print("read", flush=True)
        sys.stdin.readline()
        return b"x" * 1000

FileStorage(Path(sys.argv[1])).put("logs/one", Slow())
"""


def test_a_killed_writer_leaves_only_what_is_swept_later(storage: FileStorage) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(storage.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    with writer:
        for _ in range(3):
            writer.stdout.readline()
            writer.stdin.write(b"\n")
            writer.stdin.flush()
        writer.send_signal(signal.SIGKILL)
        writer.stdin.close()
    assert storage.stat("logs/one") is None
    assert list(storage.list()) == []
    (left,) = files(storage)
    assert left.startswith(".staging/")

    storage.prepare()
    assert files(storage) == [left], "it may still be written to"
    past = time.time() - 2 * 24 * 3600
    os.utime(storage.root / left, (past, past))
    storage.prepare()
    assert files(storage) == []


def test_every_file_is_synced_before_it_has_its_name(storage: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        synced.append(os.path.relpath(path, storage.root))
        assert storage.stat("logs/one") is None or not path.startswith(str(storage.root / ".staging"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.put("logs/one", b"x")
    file, root, directory = synced
    assert file.startswith(".staging/")
    assert root == ".", "the new directory is in it"
    assert directory == "logs"


def test_a_crash_before_the_name_leaves_no_key(storage: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put("logs/one", b"old")

    def crash(self: Path, target: Path) -> None:
        raise KeyboardInterrupt  # nothing that anybody handles

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", crash)
        for key in ("logs/one", "logs/two"):
            with pytest.raises(KeyboardInterrupt):
                storage.put(key, b"new")
        with pytest.raises(KeyboardInterrupt):
            storage.join("logs/three", ["logs/one", "logs/one"])
    assert files(storage) == ["logs/one"]
    assert storage.open("logs/one").read() == b"old"


def test_a_full_disk_is_a_fault_of_the_world_and_leaves_nothing(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorldFault, match="No space left on device"):
        storage.put("logs/one", b"x")
    assert files(storage) == []


def test_content_that_is_there_is_not_written_again(storage: FileStorage) -> None:
    key = "blobs/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    storage.put(key, b"x")
    before = (storage.root / key).stat()
    storage.put(key, b"x")
    assert (storage.root / key).stat().st_ino == before.st_ino


def test_content_is_read_once_however_it_is_put(
    storage: FileStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    key = f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    hashed: list[str] = []

    def noted(key: str, source: bytes | Path) -> Stored:
        hashed.append(key)
        return measure(key, source)

    monkeypatch.setattr(filesystem, "measure", noted)
    assert storage.put(key, source).size == len(data)
    assert hashed == []
    assert storage.put(key, source).size == len(data)
    assert hashed == [key]
    source.write_bytes(data[:-1] + b"x")
    with pytest.raises(WorldFault, match="damaged on the way"):
        storage.put(key, source)
    storage.delete(key)
    with pytest.raises(WorldFault, match="damaged on the way"):
        storage.put(key, source)
    assert files(storage) == []


def test_its_files_can_be_sent_and_not_signed(storage: FileStorage) -> None:
    storage.put("logs/one", b"x")
    path = storage.path("logs/one")
    assert path is not None
    assert path.read_bytes() == b"x"
    assert storage.url("logs/one", expires_seconds=60) is None


def test_a_directory_that_is_away_is_a_fault_of_the_world(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = FileStorage(tmp_path / "file" / "store")
    for call in (storage.prepare, storage.check, lambda: storage.put("a", b"x")):
        with pytest.raises(WorldFault):
            call()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/store",
        "file://relative/path",
        "file:///",
        "http://host/bucket",
        "s3://host/bucket",
        "s3://KEY:s3cr3t@host/",
        "s3://KEY:s3cr3t@host/bucket/prefix",
        "s3://KEY:s3cr3t@host/B",
        "s3://KEY:s3cr3t@host:port/bucket",
        "s3://KEY:s3cr3t@ho$st/bucket",
        "s3://KEY:s3cr3t@host/bucket?secure=perhaps",
        "s3://KEY:s3cr3t@host/bucket?scure=false",
        "s3://KEY:s3cr3t@host/bucket?external=host:9000",
        "s3://KEY:s3cr3t@host/bucket?external=http://host/path",
        "s3://KEY:s3cr3t@[/bucket",
    ],
)
def test_a_wrong_storage_url_stops_the_start_and_keeps_the_secret(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(url)
    assert "s3cr3t" not in str(caught.value)
