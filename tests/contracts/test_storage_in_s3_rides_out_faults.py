"""S3 that is troubled, breaks off in the middle or damages bytes: tried again, gone on, or a sentence; never wrong."""

import io
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from condarium.errors import WorldFault
from condarium.storage import open_storage
from condarium.storage.s3 import S3Storage
from tests.fixtures.s3 import PrivateS3

DATA = secrets.token_bytes(3_000_000)
TROUBLE = b"<Error><Code>SlowDown</Code></Error>"
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(TROUBLE), TROUBLE)
)


class Gate:
    """A way to S3 on `port` that treats each connection as the next of `plan` says; those behind its end pass."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.plan: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            treatment = self.plan.pop(0) if self.plan else "pass"
            threading.Thread(target=self._treat, args=(client, treatment), daemon=True).start()

    def _treat(self, client: socket.socket, treatment: str) -> None:
        with client:
            if treatment == "reset":
                return
            if treatment == "503":
                client.settimeout(0.3)
                received = b""
                while b"\r\n\r\n" not in received:
                    received += client.recv(65536)
                client.sendall(SLOW_DOWN)
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                up = threading.Thread(target=carry, args=(client, server, None), daemon=True)
                up.start()
                carry(server, client, int(treatment) if treatment.isdigit() else None)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def carry(source: socket.socket, target: socket.socket, most: int | None) -> None:
    """Until the source ends, or after about `most` bytes."""
    carried = 0
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
            carried += len(data)
            if most is not None and carried >= most:
                break
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def bucket(s3_server: PrivateS3) -> str:
    name = f"faults-{secrets.token_hex(4)}"
    direct = open_storage(s3_server.url(name))
    direct.prepare()
    direct.put("logs/one", DATA)
    return name


@contextmanager
def gated(server: PrivateS3, bucket: str) -> Iterator[tuple[S3Storage, Gate]]:
    gate = Gate(server.port)
    try:
        opened = open_storage(server.url(bucket).replace(f":{server.port}/", f":{gate.port}/"))
        assert isinstance(opened, S3Storage)
        yield opened, gate
    finally:
        gate.close()


CALLS: dict[str, Callable[[S3Storage], object]] = {
    "put": lambda storage: storage.put("logs/two", b"x"),
    "put in parts": lambda storage: storage.put("logs/three", io.BytesIO(DATA * 3)),
    "stat": lambda storage: storage.stat("logs/one"),
    "open": lambda storage: storage.open("logs/one").read(),
    "list": lambda storage: list(storage.list("logs/")),
    "delete": lambda storage: storage.delete("logs/four"),
    "join": lambda storage: storage.join("logs/five", ["logs/one", "logs/one"]),
}


@pytest.mark.parametrize("trouble", ["503", "reset"])
@pytest.mark.parametrize("call", CALLS)
def test_a_troubled_server_is_asked_again(s3_server: PrivateS3, bucket: str, call: str, trouble: str) -> None:
    with gated(s3_server, bucket) as (storage, gate):
        gate.plan = [trouble, trouble]
        CALLS[call](storage)
        assert gate.connections >= 3


def test_a_server_that_stays_troubled_is_a_fault_of_the_world(s3_server: PrivateS3, bucket: str) -> None:
    with gated(s3_server, bucket) as (storage, gate):
        gate.plan = ["503"] * 50
        with pytest.raises(WorldFault, match=r"cannot store logs/two at 127\.0\.0\.1:\d+: (SlowDown|HTTP 503)"):
            storage.put("logs/two", b"x")
        assert gate.connections == 5
        with pytest.raises(WorldFault):
            storage.check()
        assert gate.connections == 6, "whether it is there is answered now, by one try"


def test_a_read_that_breaks_off_goes_on_where_it_broke(s3_server: PrivateS3, bucket: str) -> None:
    with gated(s3_server, bucket) as (storage, gate):
        gate.plan = ["1000000", "700000", "reset", "400000"]
        with storage.open("logs/one", 10, 2_900_000) as blob:
            assert blob.read() == DATA[10:2_900_000]
        assert gate.connections == 5


def test_bytes_of_two_versions_are_never_mixed(s3_server: PrivateS3, bucket: str) -> None:
    open_storage(s3_server.url(bucket)).put("logs/changing", DATA)
    with gated(s3_server, bucket) as (storage, gate):
        gate.plan = ["1000000"]
        with storage.open("logs/changing") as blob:
            blob.read(1000)
            open_storage(s3_server.url(bucket)).put("logs/changing", DATA[::-1])
            with pytest.raises(WorldFault, match="PreconditionFailed"):
                blob.read()


def test_bytes_that_were_damaged_on_the_way_are_not_kept(
    s3_server: PrivateS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from condarium.storage.s3 import store

    class Damaging(store.ForetoldEtag):
        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            return bytes([data[0] ^ 1]) + data[1:] if data else data

    storage = open_storage(s3_server.url(bucket))
    monkeypatch.setattr(store, "ForetoldEtag", Damaging)
    for source in (b"hello", io.BytesIO(DATA * 2)):
        with pytest.raises(WorldFault, match="damaged on the way"):
            storage.put("logs/damaged", source)
        assert storage.stat("logs/damaged") is None


def test_bytes_that_the_network_damaged_are_not_kept(
    s3_server: PrivateS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib3 import PoolManager

    real = PoolManager.urlopen

    def damaging(self: PoolManager, method: str, url: str, **more: object) -> object:
        if method == "PUT" and more.get("body"):
            more["body"] = b"!" + bytes(more["body"])[1:]  # type: ignore[call-overload]
        return real(self, method, url, **more)  # type: ignore[arg-type]

    storage = open_storage(s3_server.url(bucket))
    monkeypatch.setattr(PoolManager, "urlopen", damaging)
    for source in (b"hello", io.BytesIO(DATA * 2)):
        with pytest.raises(WorldFault, match=r"cannot store|damaged on the way"):
            storage.put("logs/damaged", source)
    assert storage.stat("logs/damaged") is None


def test_a_killed_writer_leaves_parts_that_are_swept_later(
    s3_server: PrivateS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from condarium.storage import open_storage
class Slow:
    left = 9
    def read(self, size=-1):
        if self.left == 0:
            print("half", flush=True)
            sys.stdin.read()
        self.left -= 1
        return bytes(min(size, 1_000_000))
open_storage({s3_server.url(bucket)!r}).put("logs/half", Slow())
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, env=dict(os.environ)) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.kill()
    storage = open_storage(s3_server.url(bucket))
    assert isinstance(storage, S3Storage)
    assert storage.stat("logs/half") is None

    def begun() -> list[str | None]:
        return [upload.object_name for upload in storage._client._list_multipart_uploads(bucket).uploads]

    assert begun() == ["logs/half"]
    storage.prepare()
    assert begun() == ["logs/half"], "it may still be written to"
    monkeypatch.setattr("condarium.storage.s3.store.STALE_SECONDS", -1)
    storage.prepare()
    assert begun() == []


@pytest.mark.parametrize("kind", ["file", "s3"])
@pytest.mark.parametrize("source", ["path", "stream"])
def test_100_mb_go_in_and_out_in_little_memory(kind: str, source: str, s3_server: PrivateS3, tmp_path: Path) -> None:
    url = s3_server.url("memory") if kind == "s3" else f"file://{tmp_path}/store"
    code = f"""
import sys, resource
from pathlib import Path
sys.path[:0] = {sys.path!r}
from condarium.storage import open_storage
storage = open_storage({url!r})
storage.prepare()
storage.put("warm", bytes(6_000_000))
file = Path({str(tmp_path)!r}, "large")
with file.open("wb") as out:
    for number in range(100):
        out.write(bytes([number]) * 1_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stored = storage.put("large", file if {source == "path"} else file.open("rb"))
size = 0
with storage.open("large") as blob:
    for chunk in blob:
        size += len(chunk)
assert stored.size == size == 100_000_000
storage.delete("large")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60, f"grew by {done.stdout} MB"
