"""Room on the disk: how much is left, and making more by evicting what was not used for longest."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What lies in a builder's cache directory.
PACKAGES, REPODATA, INTERPRETERS, WHEELS = "pkgs", "repodata", "interpreters", "uv"
# py-rattler holds this file locked for as long as it links, so that nothing vanishes under it.
CACHE_LOCK = ".cache.lock"
INCOMING = ".incoming"
#: the end of the file beside a package: lines of sha256 and scope, who may use it; without one everybody may
ACCESS = ".access"
_EVICTED = ".evicted"
_DISK_FAULT = re.compile(
    r"No space left|Disk quota|Input/output error|Read-only file system|Stale file handle|Too many open files"
    r"|Cannot allocate memory",
    re.IGNORECASE,
)
_KEEP_SECONDS = 600.0


def is_disk_fault(words: str) -> bool:
    """Whether a library or a program failed because of the disk or the machine, and not because of its input."""
    return _DISK_FAULT.search(words) is not None


def free_fraction(path: Path) -> float:
    """The part of the file system of `path` that is free for ordinary users, 0 to 1."""
    stat = os.statvfs(path)
    return stat.f_bavail / stat.f_blocks if stat.f_blocks else 1.0


@contextmanager
def exclusive(path: Path, *, blocking: bool = True) -> Iterator[bool]:
    """Hold the lock file `path`; yields False if not `blocking` and somebody else holds it.

    The kernel lets go of it when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def evict_packages(package_cache: Path, *, until_free: float, keep_seconds: float = _KEEP_SECONDS) -> int:
    """Drop the least recently used packages until the fraction `until_free` of the disk is free; returns how many.

    Safe while others build: entries are taken away under py-rattler's own lock, those used within `keep_seconds`
    stay, and prefixes keep their hard links (a package that a prefix still holds frees little).
    """
    if not package_cache.is_dir():
        return 0
    count = 0
    while free_fraction(package_cache) < until_free:
        batch = _oldest(package_cache, keep_seconds, 20)
        if not batch:
            break
        drop_packages(package_cache, batch)
        count += len(batch)
    return count


def _oldest(package_cache: Path, keep_seconds: float, count: int) -> list[str]:
    young = time.time() - keep_seconds
    found = []
    with os.scandir(package_cache) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                used = entry.stat(follow_symlinks=False).st_mtime
                if used < young:
                    found.append((used, entry.name))
    return [name for _, name in sorted(found)[:count]]


def drop_packages(package_cache: Path, names: list[str]) -> None:
    """Takes entries out of the cache under py-rattler's own lock; prefixes keep their hard links."""
    graveyard = package_cache / f"{_EVICTED}-{os.getpid()}-{time.monotonic_ns()}"
    graveyard.mkdir()
    with exclusive(package_cache / CACHE_LOCK):
        # Renaming is quick; the deleting itself need not keep builds waiting.
        for name in names:
            for mark in (f"{name}.lock", f"{name}{ACCESS}"):
                (package_cache / mark).unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # somebody else was quicker
                os.rename(package_cache / name, graveyard / name)
    shutil.rmtree(graveyard, ignore_errors=True)


def sweep(package_cache: Path, *, older_seconds: float = 3600.0) -> None:
    """Remove what killed processes left in the package cache: half-made entries and half-deleted ones."""
    old = time.time() - older_seconds
    leftovers = [*package_cache.glob(f"{_EVICTED}-*"), *(package_cache / INCOMING).glob("*-*")]
    for path in leftovers:
        try:
            if path.is_dir() and path.stat().st_mtime < old:
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue


def evict_files(directory: Path, max_bytes: int, *, keep_seconds: float = _KEEP_SECONDS) -> int:
    """Delete the least recently used files under `directory` until they hold at most `max_bytes`; returns how many.

    Hidden folders (locks, staging) and files used within `keep_seconds` stay.
    """
    found = sorted(_files(directory))
    total = sum(size for _, size, _ in found)
    young, count = time.time() - keep_seconds, 0
    for used, size, path in found:
        if total <= max_bytes or used > young:
            break
        try:
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
        except OSError:
            # Somebody else was quicker, or put a second file beside it.
            continue
        total -= size
        count += 1
    return count


def drop_idle_files(directory: Path, *, older_seconds: float) -> tuple[int, int]:
    """Delete the files under `directory` that nobody has used for so long; how many, and their bytes.

    Hidden folders stay, as with `evict_files`.
    """
    old, count, total = time.time() - older_seconds, 0, 0
    for used, size, path in list(_files(directory)):
        if used > old:
            continue
        try:
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
        except FileNotFoundError:
            continue
        except OSError:
            pass  # there is a second file beside it
        count, total = count + 1, total + size
    return count, total


def _files(directory: Path) -> Iterator[tuple[float, int, str]]:
    for folder, subfolders, names in os.walk(directory):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            try:
                stat = os.stat(path)
            except FileNotFoundError:
                continue
            yield stat.st_mtime, stat.st_size, path
