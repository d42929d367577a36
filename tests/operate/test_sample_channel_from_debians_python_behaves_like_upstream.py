"""A channel made of /usr/bin/python3 gives environments like any other: nothing of Debian's layout is left in them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.channel import ChannelInfo, read_info
from deploy.local.channel.interpreter import MINORS
from tests.fixtures.sample_environments import link_environment

DEBIAN = Path("/usr/bin/python3")
WHEELS = ("numpy==2.4.6", "pip==25.3", "setuptools==80.9.0")
ROOT = Path(__file__).parents[2]


def _debian_minor() -> str:
    if not DEBIAN.exists():
        return ""
    said = subprocess.run(
        [DEBIAN, "-Ic", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


pytestmark = pytest.mark.skipif(_debian_minor() not in MINORS, reason="/usr/bin/python3 is no CPython 3.11 to 3.13")


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command, with a PATH on which no other Python lies."""
    directory = tmp_path_factory.mktemp("debian") / "channel"
    wheels = [word for wheel in WHEELS for word in ("--wheel", wheel)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYENV")}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.channel", str(directory), "--python", "/usr", *wheels],
        cwd=ROOT,
        env=environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert " s  the sample channel is ready: " in done.stdout
    return directory


@pytest.fixture(scope="module")
def prefix(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("linked") / "env"
    asyncio.run(link_environment(channel, ["python", "numpy", "pip", "setuptools"], target))
    return target


def _run(prefix: Path, *words: str, **environment: str) -> str:
    """Run with nothing of this process's environment, as `env -i` does."""
    done = subprocess.run(words, cwd=prefix, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _ask(prefix: Path, code: str, **environment: str) -> object:
    return json.loads(_run(prefix, f"{prefix}/bin/python", "-c", f"import json\n{code}", **environment))


def test_the_channel_says_what_it_is_made_of(channel: Path) -> None:
    info = read_info(channel)
    assert isinstance(info, ChannelInfo)
    assert info.python.startswith(_debian_minor() + ".")
    assert info.virtual_packages == {"linux-64": [f"__glibc={info.glibc}=0"]}
    assert any(name.startswith("libssl3") for name in info.debian)


def test_modules_import_out_of_a_linked_environment(prefix: Path) -> None:
    places = _ask(
        prefix,
        "import bz2, ctypes, curses, decimal, hashlib, lzma, readline, sqlite3, ssl, uuid, zoneinfo, numpy\n"
        "assert zoneinfo.ZoneInfo('Europe/Berlin').utcoffset(None) is None\n"
        "assert sqlite3.connect(':memory:').execute('select 40 + 2').fetchone() == (42,)\n"
        "assert numpy.linalg.inv(numpy.eye(3)).sum() == 3\n"
        "print(json.dumps([ssl.__file__, numpy.__file__, zoneinfo.TZPATH[0]]))",
    )
    assert isinstance(places, list)
    assert [place for place in places if not place.startswith(str(prefix))] == []


def test_only_glibc_comes_from_the_machine(prefix: Path) -> None:
    libraries = _ask(
        prefix,
        "import ctypes, curses, lzma, readline, sqlite3, ssl, numpy\n"
        "lines = open('/proc/self/maps').read().splitlines()\n"
        "print(json.dumps(sorted({line.split()[-1] for line in lines if '.so' in line})))",
    )
    assert isinstance(libraries, list)
    foreign = {Path(library).name.partition(".so")[0] for library in libraries if not library.startswith(str(prefix))}
    assert foreign <= {"ld-linux-x86-64", "libc", "libm", "libpthread", "libdl", "librt", "libutil"}


def test_packages_are_looked_for_and_installed_in_site_packages(prefix: Path) -> None:
    site = f"{prefix}/lib/python{_debian_minor()}/site-packages"
    assert _ask(
        prefix,
        "import site, sys, sysconfig\n"
        "print(json.dumps([site.getsitepackages(), [path for path in sys.path if 'packages' in path],"
        " sysconfig.get_path('purelib'), sysconfig.get_path('scripts'), sysconfig.get_default_scheme(),"
        " sysconfig.get_config_var('prefix'),"
        " sorted({'deb_system', 'posix_local'} & set(sysconfig.get_scheme_names()))]))",
    ) == [
        [site],
        [site],
        site,
        f"{prefix}/bin",
        "posix_prefix",
        str(prefix),
        [],
    ]


def test_a_sitecustomize_of_the_user_still_runs(prefix: Path) -> None:
    module = prefix / "lib" / f"python{_debian_minor()}" / "site-packages" / "sitecustomize.py"
    module.write_text("import builtins\nbuiltins.seen = __name__\n")
    try:
        assert _ask(prefix, "print(json.dumps(seen))") == "sitecustomize"
    finally:
        module.unlink()


def test_pip_neither_refuses_nor_installs_elsewhere(prefix: Path, tmp_path: Path) -> None:
    assert not list((prefix / "lib").rglob("EXTERNALLY-MANAGED"))
    assert _run(prefix, f"{prefix}/bin/pip", "check") == "No broken requirements found."
    wheel = _tiny_wheel(tmp_path)
    quiet = ("--no-index", "--no-deps", "--disable-pip-version-check", "--root-user-action", "ignore")
    _run(prefix, f"{prefix}/bin/pip", "install", *quiet, str(wheel))
    try:
        assert (prefix / "lib" / f"python{_debian_minor()}" / "site-packages" / "tiny_sample.py").exists()
    finally:
        _run(
            prefix, f"{prefix}/bin/pip", "uninstall", "--yes", "--quiet", "--root-user-action", "ignore", "tiny-sample"
        )


def test_virtual_environments_can_be_made_of_it(prefix: Path, tmp_path: Path) -> None:
    library = prefix / "lib" / f"python{_debian_minor()}"
    with_pip = (library / "ensurepip").is_dir()  # Debian has its wheels in a package of their own
    _run(prefix, f"{prefix}/bin/python", "-m", "venv", *([] if with_pip else ["--without-pip"]), str(tmp_path / "v"))
    made = tmp_path / "v"
    site = f"{made}/lib/python{_debian_minor()}/site-packages"
    code = "import json, sys; print(json.dumps([path for path in sys.path if 'packages' in path]))"
    assert json.loads(_run(made, f"{made}/bin/python", "-c", code)) == [site]
    assert (made / "bin" / "pip").exists() == with_pip


def test_distutils_agrees_where_it_is_there(prefix: Path) -> None:
    if not (prefix / "lib" / f"python{_debian_minor()}" / "distutils" / "command").is_dir():
        pytest.skip("this Python has no distutils")
    code = (
        "from distutils.dist import Distribution\nfrom distutils.sysconfig import get_python_lib\n"
        "command = Distribution().get_command_obj('install')\ncommand.ensure_finalized()\n"
        "print(json.dumps([get_python_lib(), command.install_purelib, command.install_scripts]))"
    )
    site = f"{prefix}/lib/python{_debian_minor()}/site-packages"
    assert _ask(prefix, code, SETUPTOOLS_USE_DISTUTILS="stdlib", PYTHONWARNINGS="ignore") == [
        site,
        site,
        f"{prefix}/bin",
    ]


def _tiny_wheel(folder: Path) -> Path:
    import zipfile

    path = folder / "tiny_sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_sample.py", "ANSWER = 42\n")
        wheel.writestr("tiny_sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-sample\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_sample-1.0.dist-info/RECORD", "")
    return path
