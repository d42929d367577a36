"""Two hundred at once: slow readers of a large blob, and pulls of what is not made yet."""

import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from condarium.database.tables import ImageBlob
from condarium.http import sendfile
from condarium.storage import blob_key
from tests.fixtures.patience import CLIENT_SECONDS, wait_for, within
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock

MANY = 200
BLOB_BYTES = 50_000_000
POOL = 5
#: bytes that Linux lets wait on the way to a client that does not read, in the kernel
_BUFFER = 16 * 1024


def asked(registry: RunningRegistry, path: str, method: str = "GET") -> socket.socket:
    """A connection with the request sent; nothing is read yet."""
    host, _, port = registry.address.partition(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    made.settimeout(CLIENT_SECONDS)
    made.connect((host, int(port)))
    made.sendall(f"{method} {path} HTTP/1.1\r\nHost: {registry.address}\r\nConnection: close\r\n\r\n".encode())
    return made


@contextlib.contextmanager
def many(ask: Callable[[], socket.socket]) -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    try:
        for _ in range(MANY):
            opened.append(ask())
        yield opened
    finally:
        for each in opened:
            each.close()


def megabytes() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


@pytest.fixture
def large(database_url: str, storage_dir: Path, tmp_path: Path) -> Iterator[tuple[RunningRegistry, str]]:
    """A registry, and the path of a blob of 50 MB."""
    with running_registry(database_url, storage_dir, database_pool_size=POOL) as registry:
        made = registry.submit("env")
        registry.solve(made.build_id, make_lock("a"))
        registry.complete(made.build_id)
        image = registry.make_image(made.build_id)
        content = tmp_path / "blob"
        with content.open("wb") as file:
            for number in range(BLOB_BYTES // 1_000_000):
                file.write(bytes([number]) * 1_000_000)
        with content.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        registry.storage.put(blob_key(digest), content)
        with registry.database.transaction() as session:
            session.add(ImageBlob(image_digest=image, blob_digest=digest, media_type="", size=BLOB_BYTES))
        yield registry, f"/v2/env/blobs/sha256:{digest}"


def received(connection: socket.socket) -> tuple[bytes, str]:
    """The head of a reply, and the sha256 of its body."""
    head, hashing = b"", hashlib.sha256()
    while data := connection.recv(1 << 20):
        if b"\r\n\r\n" not in head:
            head += data
            head, end, data = head.partition(b"\r\n\r\n")
            head += end
        hashing.update(data)
    return head, hashing.hexdigest()


#: by the kernel 5 MB were measured for all; what passes through the process, as TLS must, has a MiB each at most
@pytest.mark.parametrize(("by_kernel", "most"), [(True, 25), (False, 250)])
def test_slow_readers_of_a_large_blob_cost_no_memory(
    large: tuple[RunningRegistry, str], monkeypatch: pytest.MonkeyPatch, by_kernel: bool, most: float
) -> None:
    registry, path = large
    if not by_kernel:
        monkeypatch.setattr(sendfile, "sender", lambda scope: None)
    with asked(registry, path) as first:
        assert received(first)[1] == path[-64:]
    before, threads = megabytes(), threading.active_count()
    with many(lambda: asked(registry, path)) as readers:
        for each in readers:
            assert each.recv(12) == b"HTTP/1.1 200"
        time.sleep(0.5)
        assert megabytes() - before < most
        # nor a connection to the database or a thread of those that answer
        assert threading.active_count() <= threads + 40
        with within(5):
            assert registry.http.get("/v2/env/manifests/latest").status_code == 200
        assert received(readers[0])[1] == path[-64:]
        assert received(readers[-1])[1] == path[-64:]


def test_a_reader_that_goes_is_forgotten(large: tuple[RunningRegistry, str]) -> None:
    registry, path = large
    assert registry.http.get("/v2/env/tags/list").status_code == 200
    opened = len(psutil.Process().open_files())
    for _ in range(20):
        gone = asked(registry, path)
        assert gone.recv(12) == b"HTTP/1.1 200"
        gone.close()
    wait_for(lambda: len(psutil.Process().open_files()) <= opened, what="files of readers that are gone to be closed")
    # the next request of the same connection after a file is answered, too
    for _ in range(3):
        part = registry.http.get(path, headers={"Range": "bytes=999990-1000009"})
        assert (part.status_code, part.content) == (206, bytes(10) + b"\x01" * 10)


def connections(registry: RunningRegistry) -> int:
    with psycopg.connect(registry.database.url) as connection:
        query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def test_waiting_pulls_hold_no_thread_and_no_connection(database_url: str, storage_dir: Path) -> None:
    with running_registry(database_url, storage_dir, wait_seconds=200, database_pool_size=POOL) as registry:
        made = registry.submit("env")
        registry.solve(made.build_id, make_lock("a"))
        ready = registry.submit("ready")
        registry.solve(ready.build_id, make_lock("b"))
        registry.complete(ready.build_id)
        registry.make_image(ready.build_id)
        assert registry.http.get("/v2/ready/manifests/latest").status_code == 200
        threads = threading.active_count()
        with many(lambda: asked(registry, "/v2/env/manifests/latest", "HEAD")) as waiting:
            time.sleep(2)
            assert threading.active_count() <= threads + POOL
            # the pool, one that listens, one that tells what has changed, and those of the test
            assert connections(registry) <= POOL + 2 + POOL
            for _ in range(5):
                with within(2):
                    assert registry.http.get("/v2/ready/manifests/latest").status_code == 200
            registry.complete(made.build_id)
            digest = registry.make_image(made.build_id)
            registry.publish()
            for each in waiting:
                head = received(each)[0]
                assert head.startswith(b"HTTP/1.1 200")
                assert re.search(rb"docker-content-digest: sha256:(\w+)", head)[1].decode() == digest  # type: ignore[index]
