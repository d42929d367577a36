"""The three storages give the same answers to everything that the port asks."""

import hashlib
import io
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condarium.errors import InvalidInput, NotFound, WorldFault
from condarium.storage import Storage, Stored, blob_key, check_key, open_storage

LARGE = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(400_000))  # 12.8 MB, 3 parts


@pytest.fixture(scope="module", params=["memory", "file", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    if request.param == "s3":
        url = request.getfixturevalue("s3_server").url(f"contract-{secrets.token_hex(4)}")
    elif request.param == "file":
        url = (tmp_path_factory.mktemp("store") / "a directory").as_uri()
    else:
        url = "memory://"
    opened = open_storage(url)
    opened.prepare()
    opened.prepare()
    return opened


@pytest.fixture
def key() -> str:
    return f"logs/{secrets.token_hex(4)}-1-2-env+one.log"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class OneByteLess:
    """A stream that gives less than was asked for, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(max(size - 1, 1) if size > 0 else size)


def test_it_can_store_now(storage: Storage) -> None:
    storage.check()


@pytest.mark.parametrize("size", [0, 1, 70_000, len(LARGE)])
@pytest.mark.parametrize("kind", ["bytes", "path", "stream", "slow stream"])
def test_what_was_put_is_read(storage: Storage, key: str, size: int, kind: str, tmp_path: Path) -> None:
    data = LARGE[:size]
    (tmp_path / "file").write_bytes(data)
    sources: dict[str, Any] = {
        "bytes": data,
        "path": tmp_path / "file",
        "stream": io.BytesIO(data),
        "slow stream": OneByteLess(data),
    }
    assert storage.put(key, sources[kind]) == Stored(key, size, digest(data))
    with storage.open(key) as blob:
        assert blob.size == size
        assert blob.read() == data
        assert blob.read() == blob.read(10) == b""
    found = storage.stat(key)
    assert found is not None
    assert found.size == size
    assert found.modified_at > 1_500_000_000


def test_a_stream_is_read_in_pieces(storage: Storage, key: str) -> None:
    storage.put(key, LARGE)
    with storage.open(key, 10) as blob:
        assert blob.read(100) == LARGE[10:110]
        rest = list(blob)
    assert b"".join(rest) == LARGE[110:]
    assert max(map(len, rest)) <= 1024 * 1024


def test_closing_early_is_harmless(storage: Storage, key: str) -> None:
    storage.put(key, LARGE)
    for _ in range(40):
        with storage.open(key) as blob:
            blob.read(10)
    assert storage.open(key, 5, 7).read() == LARGE[5:7]


@given(start=st.integers(0, 120), end=st.none() | st.integers(0, 120))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_range_is_a_slice(storage: Storage, start: int, end: int | None) -> None:
    data = LARGE[:100]
    if storage.stat("ranges") is None:
        storage.put("ranges", data)
    with storage.open("ranges", start, end) as blob:
        assert blob.size == len(data[start:end])
        assert blob.read() == data[start:end]


def test_a_negative_range_is_refused(storage: Storage) -> None:
    for start, end in ((-1, None), (0, -1)):
        with pytest.raises(InvalidInput, match="range"):
            storage.open("anything", start, end)


def test_what_is_not_there(storage: Storage, key: str) -> None:
    assert storage.stat(key) is None
    assert storage.path(key) is None
    storage.delete(key)
    for span in ((0, None), (0, 0), (3, 5)):
        with pytest.raises(NotFound, match=r"env\+one"):
            storage.open(key, *span)
    storage.put(key, b"x")
    assert storage.stat("logs") is None
    with pytest.raises(NotFound):
        storage.open("logs")


def test_a_deleted_key_is_gone(storage: Storage, key: str) -> None:
    storage.put(key, b"x")
    storage.delete(key)
    storage.delete(key)
    assert storage.stat(key) is None
    assert key not in [entry.key for entry in storage.list("logs/")]


def test_a_second_put_replaces_the_first(storage: Storage, key: str) -> None:
    storage.put(key, b"first")
    storage.put(key, io.BytesIO(b"second"))
    assert storage.open(key).read() == b"second"


def test_keys_are_listed_by_prefix(storage: Storage) -> None:
    base = f"list-{secrets.token_hex(4)}"
    names = ["a", "a.b", "a/b", "a/b.c", "a-b/c", "ab", "b/x/y"]
    for name in names:
        if name != "a":  # a directory cannot be a file too
            storage.put(f"{base}/{name}", name.encode())
    expected = sorted(f"{base}/{name}" for name in names if name != "a")
    assert sorted(entry.key for entry in storage.list(f"{base}/")) == expected
    assert sorted(entry.key for entry in storage.list(f"{base}/a/")) == [f"{base}/a/b", f"{base}/a/b.c"]
    assert [entry.key for entry in storage.list(f"{base}/ab")] == [f"{base}/ab"]
    assert list(storage.list(f"{base}/none")) == []
    assert set(expected) <= {entry.key for entry in storage.list()}
    assert [entry.size for entry in storage.list(f"{base}/b")] == [5]


def test_a_list_of_more_than_a_page_is_whole(storage: Storage) -> None:
    base = f"many-{secrets.token_hex(4)}"
    names = {f"{base}/{number % 7}/{number}" for number in range(1_100)}  # S3 tells 1,000 at a time
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put(name, b"x"), names))
    found = [entry.key for entry in storage.list(f"{base}/")]
    assert len(found) == len(names)
    assert set(found) == names


SIZES = [
    [],
    [0],
    [10],
    [3, 0, 4],
    [6_000_000],
    [100, 6_000_000, 5],
    [6_000_000, 5_242_880, 5_242_879, 1],
    [5_000_000, 300_000, 12_000_000, 10],
    [12_000_000, 1, 12_000_000],
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_many_keys_become_one(storage: Storage, key: str, sizes: list[int]) -> None:
    parts = [LARGE[number : number + size] for number, size in enumerate(sizes)]
    for number, part in enumerate(parts):
        storage.put(f"{key}/{number}", part)
    whole = b"".join(parts)
    for _ in range(2):
        assert storage.join(f"{key}.joined", [f"{key}/{number}" for number in range(len(parts))]) == len(whole)
    assert storage.open(f"{key}.joined").read() == whole
    with pytest.raises(NotFound, match="missing"):
        storage.join(f"{key}.never", [f"{key}/{number}" for number in range(len(parts))] + ["missing"])
    assert storage.stat(f"{key}.never") is None


@pytest.mark.parametrize("kind", ["bytes", "path", "stream"])
def test_content_under_a_wrong_digest_is_not_stored(storage: Storage, kind: str, tmp_path: Path) -> None:
    data = secrets.token_bytes(50) + LARGE
    (tmp_path / "file").write_bytes(data)
    wrong = blob_key(digest(data + b"."))
    source: Any = {"bytes": data, "path": tmp_path / "file", "stream": io.BytesIO(data)}[kind]
    threads = threading.active_count()
    with pytest.raises(WorldFault, match="damaged"):
        storage.put(wrong, source)
    assert storage.stat(wrong) is None
    assert threading.active_count() <= threads


def test_content_may_be_put_again_and_at_once(storage: Storage) -> None:
    data = LARGE[: 6 * 1024 * 1024]
    key = blob_key(digest(data))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: storage.put(key, data if n % 2 else io.BytesIO(data)), range(8)))
    assert set(results) == {Stored(key, len(data), digest(data))}
    assert storage.open(key).read() == data


def test_a_reader_sees_one_whole_version(storage: Storage, key: str) -> None:
    versions = [bytes([number]) * 300_000 for number in range(6)]
    storage.put(key, versions[0])
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(storage.put, key, version) for version in versions]
        for _ in range(20):
            with storage.open(key) as blob:
                assert blob.read() in versions
        for write in writes:
            write.result()


def test_a_source_that_fails_stores_nothing(storage: Storage, key: str, tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    for source in (Broken(), tmp_path / "missing"):
        with pytest.raises(WorldFault):
            storage.put(key, source)  # type: ignore[arg-type]
        assert storage.stat(key) is None


HOSTILE = [
    "",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a/..",
    "./a",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "ä",
    "a b",
    "a\\b",
    "a?b",
    "%2e%2e/x",
]
HOSTILE += [".staging/x", "a" * 256, "a/" * 500 + "a"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_key_is_refused_everywhere(storage: Storage, hostile: str) -> None:
    calls = [
        lambda: storage.put(hostile, b"x"),
        lambda: storage.open(hostile),
        lambda: storage.open(hostile, 0, 0),
        lambda: storage.stat(hostile),
        lambda: storage.delete(hostile),
        lambda: storage.path(hostile),
        lambda: storage.url(hostile, expires_seconds=60),
    ]
    for call in calls:
        with pytest.raises(InvalidInput, match="no storage key"):
            call()


@given(st.text(max_size=30) | st.text("a./\0-", max_size=12))
def test_a_key_that_is_accepted_stays_below_its_root(text: str) -> None:
    try:
        check_key(text)
    except InvalidInput:
        return
    resolved = Path("/root-of-all") / text
    assert ".." not in resolved.parts
    assert str(resolved) == f"/root-of-all/{text}"
