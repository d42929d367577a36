"""Archives come verified out of a bounded cache; the package cache makes room without harming anybody."""

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from condarium.conda import disk
from condarium.conda.channels import ChannelSettings
from condarium.conda.fetch import PackageSource
from condarium.conda.room import make_room
from condarium.errors import InputFault, WorldFault
from tests.fixtures.engine import Builder, python_in
from tests.fixtures.http_directory import serve_directory
from tests.fixtures.patience import patient

DATA = b"an archive" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
FORGE = "https://conda.anaconda.org/conda-forge"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    (tmp_path / "origin" / "noarch").mkdir(parents=True)
    (tmp_path / "origin" / "noarch" / "a-1-0.conda").write_bytes(DATA)
    return tmp_path / "origin"


def source(tmp_path: Path, mirror: str, max_bytes: int = 1 << 30, **settings: object) -> PackageSource:
    channels = ChannelSettings.from_json({"mirrors": {"conda-forge": [mirror]}, **settings})
    return PackageSource(tmp_path / "archives", channels, max_bytes=max_bytes)


def test_an_archive_is_fetched_once(tmp_path: Path, origin: Path) -> None:
    with serve_directory(origin) as served:
        packages = source(tmp_path, served.url)
        with ThreadPoolExecutor(4) as pool:
            paths = list(pool.map(lambda _: packages.get(f"{FORGE}/noarch/a-1-0.conda", SHA256), range(8)))
        assert {path.read_bytes() for path in paths} == {DATA}
        assert paths[0].name == "a-1-0.conda"
        assert served.seen == ["/noarch/a-1-0.conda"]


def test_an_archive_of_a_directory_is_fetched_too(tmp_path: Path, origin: Path) -> None:
    packages = source(tmp_path, origin.as_uri())
    wanted = [(f"{FORGE}/noarch/a-1-0.conda", SHA256, len(DATA))] * 3
    assert [path.read_bytes() for path in packages.get_all(wanted)] == [DATA] * 3
    with pytest.raises(InputFault, match="does not exist"):
        packages.get(f"{FORGE}/noarch/b-1-0.conda", "0" * 64)


def test_wrong_bytes_are_never_seen(tmp_path: Path, origin: Path) -> None:
    with serve_directory(origin) as served:
        packages = source(tmp_path, served.url)
        with pytest.raises(WorldFault, match="but the lock states"):
            packages.get(f"{FORGE}/noarch/a-1-0.conda", "0" * 64)
        with pytest.raises(WorldFault, match="more bytes"):
            packages.get(f"{FORGE}/noarch/a-1-0.conda", SHA256, size=10)
        assert [
            path for path in (tmp_path / "archives").rglob("*") if path.is_file() and ".locks" not in str(path)
        ] == []


def test_answers_are_judged(tmp_path: Path, origin: Path) -> None:
    with serve_directory(origin) as served:
        packages = source(tmp_path, served.url)
        served.headers = {"Retry-After": "9"}
        for status, fault, words in (
            (404, InputFault, "does not exist"),
            (403, InputFault, "CONDARIUM_CHANNEL_CREDENTIALS"),
            (503, WorldFault, "503"),
        ):
            served.answers = {".conda": status}
            with pytest.raises(fault, match=words) as caught:
                packages.get(f"{FORGE}/noarch/a-1-0.conda", SHA256)
        assert isinstance(caught.value, WorldFault)
        assert caught.value.retry_after == 9.0


def test_credentials_are_sent_and_not_said(tmp_path: Path, origin: Path) -> None:
    with serve_directory(origin) as served:
        served.authorization = "Bearer open-sesame"
        packages = source(tmp_path, served.url, credentials={served.url: {"token": "open-sesame"}})
        assert packages.get(f"{FORGE}/noarch/a-1-0.conda", SHA256).read_bytes() == DATA
        served.answers = {".conda": 500}
        with pytest.raises(WorldFault) as caught:
            packages.get(f"{FORGE}/noarch/b-1-0.conda", SHA256)
        assert "sesame" not in str(caught.value)


def test_the_least_recently_used_archive_goes_first(tmp_path: Path, origin: Path) -> None:
    archives = tmp_path / "archives"
    for number in range(4):
        folder = archives / f"{number}0" / f"{number}"
        folder.mkdir(parents=True)
        (folder / "x.conda").write_bytes(b"x" * 1000)
        long_ago = time.time() - 10_000 + number
        os.utime(folder / "x.conda", (long_ago, long_ago))
    os.utime(archives / "00" / "0" / "x.conda", (time.time() - 700, time.time() - 700))
    packages = source(tmp_path, origin.as_uri(), max_bytes=len(DATA) + 2500)
    kept = packages.get(f"{FORGE}/noarch/a-1-0.conda", SHA256)
    assert kept.exists()
    assert sorted(path.parent.name for path in archives.rglob("x.conda")) == ["0", "3"]


def test_evicted_packages_are_fetched_again_and_prefixes_go_on(builder: Builder, tmp_path: Path) -> None:
    builder.cache = tmp_path / "store" / ".cache"
    packages = builder.cache / "pkgs"
    spec = {"name": "plain", "dependencies": ["python"]}
    first = builder.run(spec)
    count = sum(1 for path in packages.iterdir() if path.is_dir() and not path.name.startswith("."))
    assert disk.evict_packages(packages, until_free=1.1) == 0, "what was just used stays"
    assert disk.evict_packages(packages, until_free=0.0, keep_seconds=-1) == 0, "there is room enough"
    assert disk.evict_packages(packages, until_free=1.1, keep_seconds=-1) == count
    assert [path.name for path in packages.iterdir() if not path.name.startswith(".")] == []
    assert python_in(first.prefix, "import ssl; print(ssl.__name__)") == "ssl"
    second = builder.run({**spec, "variables": {"A": "1"}})
    assert python_in(second.prefix, "import ssl; print(ssl.__name__)") == "ssl"


def test_eviction_waits_for_who_is_linking(tmp_path: Path) -> None:
    packages = tmp_path / "pkgs"
    (packages / "a-1-0").mkdir(parents=True)
    done = threading.Event()

    def evict() -> None:
        disk.evict_packages(packages, until_free=1.1, keep_seconds=-1)
        done.set()

    with disk.exclusive(packages / disk.CACHE_LOCK):
        thread = threading.Thread(target=evict)
        thread.start()
        assert not done.wait(0.2)
        assert (packages / "a-1-0").exists()
    thread.join(patient(5))
    assert not (packages / "a-1-0").exists()


def test_leftovers_of_killed_processes_are_swept(tmp_path: Path) -> None:
    old, young = tmp_path / disk.INCOMING / "aa-1", tmp_path / disk.INCOMING / "bb-2"
    for folder in (old, young, tmp_path / ".evicted-9-9"):
        folder.mkdir(parents=True)
    for folder in (old, tmp_path / ".evicted-9-9"):
        os.utime(folder, (1, 1))
    disk.sweep(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert not (tmp_path / ".evicted-9-9").exists()
    assert 0 < disk.free_fraction(tmp_path) < 1


def test_room_is_made_of_all_that_the_engine_keeps(builder: Builder, tmp_path: Path) -> None:
    builder.cache = tmp_path / "store" / ".cache"
    said = builder.run({"name": "plain", "dependencies": ["tzdata"]})
    idle = builder.cache / disk.INTERPRETERS / "0123"
    wheels = builder.cache / disk.WHEELS / "wheels-v1"
    for folder in (idle, wheels):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    assert make_room(builder.cache, until_free=0.0) == 0
    assert idle.exists()
    assert make_room(builder.cache, until_free=1.1, keep_seconds=-1) == 1
    assert not idle.exists()
    assert not (wheels / "file").exists()
    assert (said.prefix / "share" / "zoneinfo" / "UTC").exists()
