"""Makes the whole channel: downloads, converts, indexes, and puts it into place in one step."""

import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.local.channel import catalogue, data_packages, interpreter, oddities
from deploy.local.channel.archive import Package, write
from deploy.local.channel.download import download
from deploy.local.channel.fingerprint import fingerprint, installed
from deploy.local.channel.index import index
from deploy.local.channel.interpreter import MINORS, Interpreter
from deploy.local.channel.problem import ChannelError
from deploy.local.channel.system_library import SystemLibraries
from deploy.local.channel.wheel import convert, read

STATEMENT = "sample.json"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ChannelInfo:
    """What a sample channel says about itself, in `sample.json` at its root."""

    python: str  # the version of its (first) interpreter: "3.11.7"
    pythons: list[str]
    glibc: str  # what its environments need of a machine: "2.36"
    virtual_packages: dict[str, list[str]]  # as JSON, the value of CONDARIUM_VIRTUAL_PACKAGES
    packages: int
    bytes: int  # of the packages
    fingerprint: str
    debian: dict[str, str]  # the Debian packages whose libraries are in it, and their versions


def make_channel(
    directory: Path,
    pythons: Sequence[Path | str] = (),
    *,
    wheels: Sequence[str] | None = None,
    if_stale: bool = True,
    progress: Progress = print,
) -> ChannelInfo:
    """Make the sample channel in `directory`, which is replaced as a whole when it is ready.

    `pythons` are prefixes of the interpreters to package (default: the running one, else Debian's); `wheels` are pins
    (`numpy==2.4.6`), by default the whole catalogue; with `if_stale` nothing is done where nothing has changed.

    Raises: ChannelError with a sentence that says what is missing or wrong.
    """
    started = time.monotonic()
    directory = Path(directory).absolute()
    found = [interpreter.inspect(python) for python in pythons or [default_python()]]
    _refuse_two_of_a_version(found)
    pins = tuple(dict.fromkeys([*(catalogue.pins() if wheels is None else wheels), *catalogue.ALWAYS]))
    known = _still_good(directory, found, pins) if if_stale else None
    if known:  # seen without the lock: a directory of another account may be read and not written
        progress(f"the sample channel in {directory} is up to date ({known.packages} packages)")
        return known
    with _alone(directory):
        known = _still_good(directory, found, pins) if if_stale else None
        if known:
            _say(progress, started, f"another run has just made the sample channel in {directory}")
            return known
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.partial-", dir=directory.parent) as scratch:
            making = _Making(Path(scratch), found, pins, lambda text: _say(progress, started, text))
            info = making.run()
            _replace(directory, making.channel)
    _say(progress, started, f"the sample channel is ready: {info.packages} packages, {info.bytes / 1e6:.0f} MB")
    return info


def read_info(directory: Path) -> ChannelInfo | None:
    """What the channel in `directory` says about itself; None when there is none, or one of another format."""
    try:
        return ChannelInfo(**json.loads((directory / STATEMENT).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _still_good(directory: Path, pythons: Sequence[Interpreter], pins: Sequence[str]) -> ChannelInfo | None:
    known = read_info(directory)
    if known and known.fingerprint == fingerprint(pythons, pins, installed(known.debian)):
        return known
    return None


def default_python() -> Path:
    """The prefix of the running interpreter when it can be packaged, else Debian's."""
    running = ".".join(str(part) for part in sys.version_info[:2])
    if sys.implementation.name == "cpython" and running in MINORS:
        return Path(sys.base_prefix)
    return Path("/usr")


class _Making:
    """One run: the scratch directory, and what the steps hand to each other."""

    def __init__(self, scratch: Path, pythons: Sequence[Interpreter], pins: Sequence[str], say: Progress) -> None:
        self.channel = scratch / "channel"
        self._wheels = scratch / "wheels"
        self._pythons, self._pins, self._say = pythons, pins, say
        self._libraries = SystemLibraries(_glibc())
        self._written: set[str] = set()

    def run(self) -> ChannelInfo:
        minors = list(dict.fromkeys(python.minor for python in self._pythons))
        # pip mostly waits for the network, so the interpreters are packed meanwhile.
        with ThreadPoolExecutor(1) as pool:
            downloading = pool.submit(download, self._pins, minors[0], self._wheels / minors[0])
            self._say(f"downloading {len(self._pins)} wheels for Python {minors[0]} (pip keeps them in its cache)")
            self._pack_interpreters()
            fetched = downloading.result()
        compiled = self._pack_wheels(fetched, minors[0])
        for minor in minors[1:]:
            self._say(f"downloading {len(compiled)} compiled wheels for Python {minor}")
            self._pack_wheels(download(compiled, minor, self._wheels / minor), minor)
        self._pack_data(fetched)
        for package in [*self._libraries.packages.values(), *oddities.packages(self._pins)]:
            self._write(package)
        records = index(self.channel)
        self._say("indexed")
        return self._state(len(records))

    def _pack_interpreters(self) -> None:
        for python in self._pythons:
            self._write(interpreter.convert(python, self._libraries))
            self._say(
                f"packed Python {python.version} of {python.prefix} and {len(self._libraries.packages)} libraries"
            )
        for minor in {python.minor for python in self._pythons}:
            self._write(interpreter.abi_package(minor))

    def _pack_wheels(self, paths: Sequence[Path], minor: str) -> list[str]:
        """Pack the wheels; returns the pins of those with compiled code, which every other minor needs again."""
        compiled: list[str] = []
        largest_first = sorted(paths, key=lambda path: -path.stat().st_size)
        with ThreadPoolExecutor(2) as pool:  # zlib, zstd and sha256 leave the interpreter lock to each other
            for pin, pure in pool.map(lambda path: self._pack_wheel(path, minor), largest_first):
                if not pure:
                    compiled.append(pin)
        self._say(f"packed {len(paths)} wheels for Python {minor}")
        return sorted(compiled)

    def _pack_wheel(self, path: Path, minor: str) -> tuple[str, bool]:
        name, version, _, _ = parse_wheel_filename(path.name)
        pin = f"{canonicalize_name(name)}=={version}"
        bzip2 = name in catalogue.BZIP2 or pin in catalogue.BZIP2
        package = convert(path, minor, self._libraries, bzip2=bzip2)
        self._write(package)
        return pin, package.noarch is not None

    def _pack_data(self, wheels: Sequence[Path]) -> None:
        for pin, make in zip(catalogue.ALWAYS, (data_packages.time_zones, data_packages.certificates), strict=True):
            name, _, version = pin.partition("==")
            path = next(path for path in wheels if path.name.startswith(f"{name}-{version}-"))
            self._write(make(read(path)))

    def _write(self, package: Package) -> None:
        write(package, self.channel)

    def _state(self, packages: int) -> ChannelInfo:
        _readable_by_all(self.channel)
        libraries, pythons = self._libraries, self._pythons
        info = ChannelInfo(
            python=pythons[0].version,
            pythons=[python.version for python in pythons],
            glibc=libraries.glibc,
            virtual_packages={"linux-64": [f"__glibc={libraries.glibc}=0"]},
            packages=packages,
            bytes=sum(
                path.stat().st_size for path in self.channel.rglob("*") if path.name.endswith((".conda", ".tar.bz2"))
            ),
            fingerprint=fingerprint(pythons, self._pins, libraries.debian),
            debian=dict(sorted(libraries.debian.items())),
        )
        path = self.channel / STATEMENT
        path.write_text(json.dumps(asdict(info), indent=2) + "\n")
        path.chmod(0o644)
        return info


def _glibc() -> str:
    return (os.confstr("CS_GNU_LIBC_VERSION") or "glibc 2.28").removeprefix("glibc ")


def _refuse_two_of_a_version(pythons: Sequence[Interpreter]) -> None:
    seen: dict[str, Interpreter] = {}
    for python in pythons:
        if python.version in seen:
            other = seen[python.version]
            raise ChannelError(f"{other.prefix} and {python.prefix} are both Python {python.version}; give one of them")
        seen[python.version] = python


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the channel's lock, and clear away what a killed run has left."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with (directory.parent / f".{directory.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in directory.parent.glob(f".{directory.name}.partial-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
    except PermissionError as error:
        raise ChannelError(f"cannot write {error.filename}: permission denied; choose another directory") from error
    except OSError as error:
        raise ChannelError(f"cannot make the channel in {directory}: {error.strerror or error}") from error


def _replace(directory: Path, ready: Path) -> None:
    """Put the finished channel into place; the old one goes only when the new one can take its name."""
    if directory.exists():
        os.rename(directory, ready.parent / "old")  # goes with the scratch directory
    os.rename(ready, directory)


def _readable_by_all(channel: Path) -> None:
    """The same permissions under every umask: a server of another account reads these files."""
    for path in [channel, *channel.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _say(progress: Progress, started: float, text: str) -> None:
    progress(f"{time.monotonic() - started:6.1f} s  {text}")
