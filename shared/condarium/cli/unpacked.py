"""Environments unpacked on this machine: each once for its lock, shared by all that run in it, kept until evicted.

An entry is a directory below `environments/` of the user's cache, with a note of it beside it once it is whole. Who
makes an entry holds its lock alone, who runs in it shares it until they end: nothing is used half made, nothing is
taken away under a running program, and two that want the same one at a time make it once.
"""

import contextlib
import fcntl
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from condarium.cli.downloads import save
from condarium.client import Client, Damaged
from condarium.client.models import Build
from condarium.errors import InvalidInput

#: entries that nobody used for so long go when another one is made
UNUSED_DAYS = 30.0
WAIT_SECONDS = 600.0
#: of the hash of the lock: paths below must stay short enough for the first lines of scripts
KEY_LENGTH = 32
_MACHINES = {"x86_64": "linux-64", "amd64": "linux-64", "aarch64": "linux-aarch64", "arm64": "linux-aarch64"}


@dataclass(frozen=True)
class Entry:
    """`size` in bytes; `used_at` in seconds since 1970; `label` is where it was downloaded as first."""

    key: str
    path: Path
    label: str
    platform: str
    size: int
    used_at: float


def root() -> Path:
    return Path(platformdirs.user_cache_dir("condarium")) / "environments"


def this_platform() -> str:
    """conda's name of this machine. Raises InvalidInput where no environment of Condarium runs."""
    found = _MACHINES.get(platform.machine().lower()) if sys.platform == "linux" else None
    if found is None:
        raise InvalidInput(f"environments are made for Linux, and this is {sys.platform} on {platform.machine()}")
    return found


def prefix(client: Client, build: Build, *, quiet: bool = False) -> Path:
    """The build's environment in the cache, made if it is not there. It stays until this process, and what it turns
    into, has ended.

    Raises InvalidInput when the build has nothing for this machine, Damaged for a tarball that is broken.
    """
    key = key_of(build)
    with _making(key) as missing:
        if missing:
            _evict(UNUSED_DAYS * 86400, everything=False)
            _make(client, build, key, quiet=quiet)
    return _path(key)


def key_of(build: Build) -> str:
    """What names the build's environment in the cache. Raises InvalidInput when it has none for this machine."""
    wanted = this_platform()
    lock = build.condarium.locks.get(wanted)
    if lock is None:
        known = ", ".join(build.condarium.locks) or "none yet"
        raise InvalidInput(f"build {build.id} is not for {wanted}; its platforms are {known}")
    return lock[:KEY_LENGTH]


def known_prefix(key: str) -> Path | None:
    """An entry that is there already, held as `prefix` holds it."""
    with _making(key) as missing:
        return None if missing else _path(key)


def _path(key: str) -> Path:
    return root() / key


def _note(key: str) -> Path:
    return root() / f"{key}.json"


def _lock_file(key: str) -> int:
    locks = root() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return os.open(locks / key, os.O_RDWR | os.O_CREAT, 0o600)


@contextlib.contextmanager
def _making(key: str) -> Iterator[bool]:
    """Whether the entry has to be made in the block, alone. Afterwards it is shared until the process ends."""
    descriptor = _lock_file(key)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    missing = not _note(key).exists()
    if missing:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        missing = not _note(key).exists()
    try:
        yield missing
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            os.utime(_note(key))
        # The command that this process turns into holds it on.
        os.set_inheritable(descriptor, True)


def _make(client: Client, build: Build, key: str, *, quiet: bool) -> None:
    ours, target = build.condarium, _path(key)
    lock = ours.locks[this_platform()]
    # What a killed process left.
    shutil.rmtree(target, ignore_errors=True)
    downloads = root() / ".downloads"
    downloads.mkdir(exist_ok=True)
    archive = downloads / f"{lock}.tar.gz"
    made = client.wait_artifact(build.id, "CONDA_PACK", seconds=WAIT_SECONDS)
    # The digest is that of the tarball of a build's main platform; others have their own address alone.
    digest = made.digest if len(ours.locks) == 1 else None
    query = {"format": "gz", "platform": this_platform()}
    address = f"build/{build.id}/archive/"
    if not archive.exists():
        save(client, address, archive, query, WAIT_SECONDS, quiet=quiet, digest=digest)
    with tempfile.TemporaryDirectory(dir=root(), prefix=".unpacking-") as scratch:
        unpacked = Path(scratch) / "prefix"
        try:
            _unpack(archive, unpacked)
        finally:
            archive.unlink(missing_ok=True)
        unpacked.rename(target)
    try:
        subprocess.run([target / "bin" / "conda-unpack"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        shutil.rmtree(target, ignore_errors=True)
        raise InvalidInput(
            f"build {build.id} could not be made to fit {target}: {said[-1] if said else error}"
        ) from None
    content = {
        "label": f"{ours.namespace}/{ours.environment}",
        "platform": this_platform(),
        "lock": lock,
        "size": _size(target),
    }
    whole = root() / f".{key}.json"
    whole.write_text(json.dumps(content))
    whole.replace(_note(key))


def _unpack(archive: Path, target: Path) -> None:
    """Raises Damaged."""
    try:
        with tarfile.open(archive) as tar:
            # Debian 12's Python 3.11.2 does not know `filter=`; where it is known, names outside are refused.
            tar.extraction_filter = getattr(tarfile, "tar_filter", None)
            tar.extractall(target)
            # To the very end: the checksum of the last member stands there.
            while tar.fileobj is not None and tar.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Damaged(f"the tarball is damaged ({error}); ask again") from None


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir() or file.is_symlink())


def entries() -> list[Entry]:
    """What is there, the least used first."""
    found = []
    for note in root().glob("[0-9a-f]*.json"):
        try:
            content = json.loads(note.read_text())
            used_at = note.stat().st_mtime
            found.append(
                Entry(note.stem, _path(note.stem), content["label"], content["platform"], int(content["size"]), used_at)
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda entry: entry.used_at)


def since(used_at: float) -> str:
    """In UTC, to the minute."""
    return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(used_at))


def evict(older_than_days: float) -> tuple[list[Entry], list[Entry]]:
    """Takes away what was not used for so many days (0: all), and what is left of broken runs.

    Returns what went, and what stays because something runs in it.
    """
    return _evict(older_than_days * 86400, everything=True)


def _evict(seconds: float, *, everything: bool) -> tuple[list[Entry], list[Entry]]:
    gone, busy = [], []
    now = time.time()
    for entry in entries():
        if seconds and now - entry.used_at < seconds:
            continue
        descriptor = _lock_file(entry.key)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy.append(entry)
        else:
            # The note first: without it the rest is nothing.
            _note(entry.key).unlink(missing_ok=True)
            shutil.rmtree(entry.path, ignore_errors=True)
            gone.append(entry)
        finally:
            os.close(descriptor)
    if everything:
        for rest in (*root().glob(".unpacking-*"), *root().glob(".downloads/.*"), *root().glob(".downloads/*")):
            with contextlib.suppress(OSError):
                if now - rest.stat().st_mtime > 86400:
                    shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    return gone, busy
