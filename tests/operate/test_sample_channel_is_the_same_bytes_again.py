"""Made twice from the same parts the channel is the same, whatever the umask; and it is made only when it must be."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.channel import ChannelInfo, make_channel, read_info
from tests.fixtures.patience import wait_for

ROOT = Path(__file__).parents[2]
WHEELS = ("click==8.3.1", "click==8.1.8", "markupsafe==3.0.3", "colorama==0.4.6")  # pure, .tar.bz2, compiled


def _silent(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ChannelInfo]:
    directory = tmp_path_factory.mktemp("first") / "channel"
    return directory, make_channel(directory, wheels=WHEELS, progress=_silent)


def _contents(directory: Path) -> dict[str, tuple[str, str]]:
    """Path -> (mode, digest) of all but the index of the shards, whose format holds the time it was written at."""
    return {
        path.relative_to(directory).as_posix(): (
            stat.filemode(path.stat().st_mode),
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in directory.rglob("*")
        if path.name != "repodata_shards.msgpack.zst"
    }


def test_the_same_bytes_under_another_umask(channel: tuple[Path, ChannelInfo], tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = make_channel(tmp_path / "again", wheels=WHEELS, progress=_silent)
    finally:
        os.umask(before)
    first, second = _contents(channel[0]), _contents(tmp_path / "again")
    assert {name for name in first if first[name] != second.get(name)} == set()
    assert first.keys() == second.keys()
    assert again == channel[1]
    assert {mode for mode, digest in second.values()} == {"-rw-r--r--", "drwxr-xr-x"}
    kinds = {
        name.partition(".")[2] for name in (Path(path).name for path in first) if name.endswith((".conda", ".bz2"))
    }
    assert any(kind.endswith("tar.bz2") for kind in kinds)
    assert (tmp_path / "again" / "noarch" / "repodata_shards.msgpack.zst").exists()
    assert any(name.startswith("noarch/shards/") for name in first)


def test_nothing_is_done_while_nothing_has_changed(channel: tuple[Path, ChannelInfo]) -> None:
    directory, info = channel
    before = (directory / "sample.json").stat()
    said: list[str] = []
    assert make_channel(directory, wheels=WHEELS, progress=said.append) == info
    assert (directory / "sample.json").stat().st_mtime_ns == before.st_mtime_ns
    assert said == [f"the sample channel in {directory} is up to date ({info.packages} packages)"]


def test_another_version_of_a_library_makes_it_stale(
    channel: tuple[Path, ChannelInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.local.channel import debian, make

    directory, info = channel
    python = make.interpreter.inspect(make.default_python())
    pins = (*WHEELS, *make.catalogue.ALWAYS)
    assert make._still_good(directory, [python], pins) == info
    assert make._still_good(directory, [python], (*pins, "six==1.17.0")) is None
    monkeypatch.setattr(debian, "installed_version", lambda name: "9.9")
    assert make._still_good(directory, [python], pins) is None


def test_a_killed_run_leaves_the_old_channel_and_its_rest_is_cleared_away(
    channel: tuple[Path, ChannelInfo], tmp_path: Path
) -> None:
    directory = tmp_path / "channel"
    words = [sys.executable, "-m", "deploy.local.channel", str(directory), "--wheel", "colorama==0.4.6"]
    running = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    try:
        begun = ".channel.partial-*/channel/linux-64/*"
        wait_for(lambda: list(tmp_path.glob(begun)), seconds=60, what="it to write something", process=running)
        assert running.poll() is None
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    assert not directory.exists()
    assert list(tmp_path.glob(".channel.partial-*"))
    make_channel(directory, wheels=["colorama==0.4.6"], progress=_silent)
    assert read_info(directory) is not None
    assert {path.name for path in tmp_path.iterdir()} == {"channel", ".channel.lock"}
