"""A failed job ends with one message: whose fault, which kind, and a sentence in the words of who found it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.channel.archive import File, Package
from tests.fixtures.engine import Builder, MakeChannel, follow
from tests.fixtures.http_directory import serve_directory

NOTHING = {"name": "nothing", "dependencies": ["tzdata"]}


def test_an_unsolvable_specification_in_the_solvers_words(builder: Builder) -> None:
    kind, reason, message = builder.run({"dependencies": ["numpy >=99", "python"]}).failure
    assert (kind, reason) == ("input", "unsolvable")
    assert "No candidates were found for numpy >=99" in message
    assert "Platform linux-64; channels conda-forge." in message
    assert "conda-forge is mirrored by the sample channel." in message


def test_a_conflict_in_the_solvers_words(builder: Builder, make_channel: MakeChannel) -> None:
    packages = [
        Package(name="a", version="1", build_pattern="0", depends=("c ==1",), noarch="generic"),
        Package(name="b", version="1", build_pattern="0", depends=("c ==2",), noarch="generic"),
        Package(name="c", version="1", build_pattern="0", noarch="generic"),
        Package(name="c", version="2", build_pattern="0", noarch="generic"),
    ]
    channel = make_channel(packages).as_uri()
    kind, reason, message = builder.run({"channels": [channel], "dependencies": ["a", "b"]}).failure
    assert (kind, reason) == ("input", "unsolvable")
    assert "c ==2" in message
    assert "cannot be installed" in message


def test_a_package_that_does_not_exist(builder: Builder) -> None:
    kind, reason, message = builder.run({"dependencies": ["no-such-package-at-all"]}).failure
    assert (kind, reason) == ("input", "no-such-package")
    assert "no-such-package-at-all" in message


def test_a_channel_that_does_not_exist_names_it_and_its_mirror(builder: Builder, tmp_path: Path) -> None:
    builder.channels = {"mirrors": {"conda-forge": [(tmp_path / "gone").as_uri()]}}
    kind, reason, message = builder.run(NOTHING).failure
    assert (kind, reason) == ("input", "no-such-channel")
    assert "'conda-forge' (https://conda.anaconda.org/conda-forge)" in message
    assert str(tmp_path / "gone") in message


def test_an_http_channel_that_does_not_exist(builder: Builder, tmp_path: Path) -> None:
    with serve_directory(tmp_path) as served:
        kind, reason, message = builder.run({**NOTHING, "channels": [f"{served.url}/none"]}).failure
        assert (kind, reason) == ("input", "no-such-channel")
        assert f"{served.url}/none" in message
        assert "404" in message


def test_defaults_is_refused_with_the_setting_that_would_map_it(builder: Builder) -> None:
    kind, reason, message = builder.run({**NOTHING, "channels": ["defaults"]}).failure
    assert (kind, reason) == ("input", "no-such-channel")
    assert "CONDARIUM_CHANNEL_MIRRORS" in message


def test_defaults_may_be_mapped(builder: Builder, sample_channel: Path) -> None:
    builder.channels = {"mirrors": {"defaults": [sample_channel.as_uri()]}}
    said = builder.run({**NOTHING, "channels": ["defaults", "nodefaults"]})
    assert said.locks["linux-64"].channels == (sample_channel.as_uri(),)


def test_access_refused_names_the_setting(builder: Builder, sample_channel: Path) -> None:
    with serve_directory(sample_channel) as served:
        served.authorization = "Bearer right"
        kind, reason, message = builder.run({**NOTHING, "channels": [served.url]}).failure
        assert (kind, reason) == ("input", "no-such-channel")
        assert "CONDARIUM_CHANNEL_CREDENTIALS" in message


def test_a_channel_that_is_away_is_a_fault_of_the_world(builder: Builder, sample_channel: Path) -> None:
    with serve_directory(sample_channel) as served:
        served.answers = {"repodata_shards.msgpack.zst": 503}
        served.headers = {"Retry-After": "7"}
        said = builder.run({**NOTHING, "channels": [served.url]})
        assert said.failure[0] == "world"
        assert served.url in said.failure[2]
        assert said.end["retry_after"] == 7.0
        assert "CONDARIUM_CHANNEL_MIRRORS" not in said.failure[2]
    kind, _, message = builder.run({**NOTHING, "channels": ["http://127.0.0.1:9/nobody"]}).failure
    assert (kind, "CONDARIUM_CHANNEL_MIRRORS" in message) == ("world", True)


def test_a_mirror_that_is_away_gives_way_to_the_next(builder: Builder, sample_channel: Path) -> None:
    with serve_directory(sample_channel) as served:
        builder.channels = {"mirrors": {"conda-forge": ["http://127.0.0.1:9/nobody", served.url]}}
        said = builder.run(NOTHING)
        assert said.prefix.is_dir()
        lock = said.locks["linux-64"]
        assert lock.channels == ("https://conda.anaconda.org/conda-forge",)
        assert lock.conda[0].url.startswith("https://conda.anaconda.org/conda-forge/")


def test_a_mirror_without_the_channel_gives_way_to_the_next(
    builder: Builder, sample_channel: Path, tmp_path: Path
) -> None:
    mirrors = [(tmp_path / "gone").as_uri(), sample_channel.as_uri()]
    builder.channels = {"mirrors": {"conda-forge": mirrors}}
    assert builder.run(NOTHING).prefix.is_dir()


@pytest.mark.parametrize(
    ("channel", "words"), [("./here", "file:// URL"), ("s3://bucket/channel", "s3:// is not supported")]
)
def test_what_cannot_be_a_channel_is_refused(builder: Builder, channel: str, words: str) -> None:
    kind, reason, message = builder.run({**NOTHING, "channels": [channel]}).failure
    assert (kind, reason) == ("input", "no-such-channel")
    assert words in message


def test_an_unknown_platform(builder: Builder) -> None:
    kind, _, message = builder.run({**NOTHING, "platforms": ["amiga-68k"]}).failure
    assert kind == "input"
    assert "amiga-68k" in message
    assert "linux-64" in message


def test_virtual_packages_come_from_the_specification_not_the_host(builder: Builder, make_channel: MakeChannel) -> None:
    package = Package(name="gpu", version="1", build_pattern="0", depends=("__cuda >=12",), noarch="generic")
    spec = {"channels": [make_channel([package]).as_uri()], "dependencies": ["gpu"]}
    kind, reason, message = builder.run(spec).failure
    assert (kind, reason) == ("input", "unsolvable")
    assert "__cuda" in message
    said = builder.run({**spec, "variables": {"CONDA_OVERRIDE_CUDA": "12.4"}})
    assert "__cuda=12.4=0" in said.locks["linux-64"].virtual_packages
    assert said.locks["linux-64"].variables == {}


def test_a_channel_in_a_match_spec_is_asked_too(builder: Builder, make_channel: MakeChannel) -> None:
    mine = make_channel([Package(name="mine", version="1", build_pattern="0", noarch="generic")]).as_uri()
    said = builder.run({"dependencies": [f"{mine}::mine", "conda-forge::tzdata"]})
    by_name = {record.name: record.channel.rstrip("/") for record in said.locks["linux-64"].conda}
    assert by_name == {"mine": mine, "tzdata": "https://conda.anaconda.org/conda-forge"}


def test_a_package_with_link_scripts_is_linked_without_them_and_says_so(
    builder: Builder, make_channel: MakeChannel
) -> None:
    script = File(b"#!/bin/sh\ntouch $PREFIX/ran\n", executable=True)
    package = Package(
        name="scripted", version="1", build_pattern="0", files={"bin/.scripted-post-link.sh": script}, noarch="generic"
    )
    spec = {"channels": [make_channel([package]).as_uri()], "dependencies": ["scripted"]}
    said = builder.run(spec)
    assert "scripted 1 has link scripts, which are not run" in said.log
    assert not (said.prefix / "ran").exists()
    allowed = builder.run(spec, link_scripts=True)
    assert (allowed.prefix / "ran").exists()
    assert allowed.locks["linux-64"].options == {"link_scripts": True}
    assert allowed.prefix != said.prefix


def test_a_build_that_needs_more_memory_than_allowed_does_not_take_it(builder: Builder) -> None:
    with builder.start() as child:
        child.wait_ready(90)
        child.send(builder.job({"dependencies": ["python", "numpy"]}, memory_bytes=64 << 20).to_json())
        said = follow(child)
    # With so little the process may also just end; it never gets the memory.
    assert not said.events or said.end["event"] != "linked"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_of_the_world_and_leaves_no_prefix(builder: Builder, small_disk: Path) -> None:
    science = {"name": "science", "dependencies": ["python", "numpy"]}
    warm, builder.cache = builder.cache, small_disk / "cache"
    kind, _, message = builder.run(science).failure
    assert (kind, "No space left on device" in message) == ("world", True)
    shutil.rmtree(builder.cache)
    builder.cache, builder.store = warm, small_disk / "store"
    kind, _, message = builder.run(science).failure
    assert (kind, "No space left on device" in message) == ("world", True)
    assert list(small_disk.glob("store/*/*")) == []
    assert list(small_disk.glob("store/.staging/*")) == []
