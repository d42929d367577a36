"""Which specification files there are, what tells a changed one, and their bytes. Blocks: call it in a real thread."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

NAMES = ("environment.yml", "environment.yaml")
SUFFIXES = (".yml", ".yaml")
#: directories that hold other people's files
FOREIGN = frozenset({"node_modules", "__pycache__"})
MAX_DEPTH = 16
#: more than a specification may have, so that its reader says what is too much
MAX_BYTES = 2 * 1024 * 1024


class Source(NamedTuple):
    """A file as configured: through symbolic links, not where they lead."""

    namespace: str
    path: Path


class Signature(NamedTuple):
    """Equal while the file has not changed. The inode and ctime catch what keeps size and mtime, such as rsync -t."""

    device: int
    inode: int
    ctime_ns: int
    mtime_ns: int
    size: int


@dataclass
class Listing:
    """What one walk through all directories found."""

    files: dict[Source, Signature] = field(default_factory=dict)
    #: configured directories that are not there, or are no directories
    missing: set[Path] = field(default_factory=set)
    #: directories that may not be listed, with the reason
    closed: dict[Path, str] = field(default_factory=dict)
    #: where the kernel must listen: roots and linked directories, with the identity of what they lead to
    points: frozenset[tuple[Path, int, int]] = frozenset()


def walk(roots: Mapping[str, tuple[Path, ...]]) -> Listing:
    """Never raises for what a file system may do meanwhile: what vanishes is not listed."""
    listing = Listing()
    points: set[tuple[Path, int, int]] = set()
    for namespace, directories in roots.items():
        for root in directories:
            _Walk(listing, points, namespace).root(root)
    listing.points = frozenset(points)
    return listing


def identities(points: frozenset[tuple[Path, int, int]], missing: set[Path]) -> bool:
    """True while every point still leads to the same directory and what was missing still is: cheap, no walk."""
    for path, device, inode in points:
        found = _stat(path)
        if found is None or (found.st_dev, found.st_ino) != (device, inode):
            return False
    return not any(_is_directory(path) for path in missing)


def read(path: Path) -> tuple[bytes, Signature]:
    """At most MAX_BYTES + 1 bytes, and the signature of what was read. Raises OSError."""
    # a pipe in place of the file must not stop us
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("this is no regular file")
        return file.read(MAX_BYTES + 1), signature(found)


def signature(found: os.stat_result) -> Signature:
    return Signature(found.st_dev, found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size)


def is_candidate(name: str, depth: int) -> bool:
    """`depth` 0 is a file directly in a watched directory."""
    if name.startswith("."):
        return False
    return name in NAMES or (depth == 0 and name.endswith(SUFFIXES))


class _Walk:
    """Through one root; a directory that was seen by another way is not entered again, so links may form rings."""

    def __init__(self, listing: Listing, points: set[tuple[Path, int, int]], namespace: str) -> None:
        self._listing = listing
        self._points = points
        self._namespace = namespace
        self._seen: set[tuple[int, int]] = set()

    def root(self, root: Path) -> None:
        found = _stat(root)
        if found is None or not stat.S_ISDIR(found.st_mode):
            self._listing.missing.add(root)
            return
        self._points.add((root, found.st_dev, found.st_ino))
        self._directory(root, found, 0)

    def _directory(self, directory: Path, found: os.stat_result, depth: int) -> None:
        identity = (found.st_dev, found.st_ino)
        if identity in self._seen or depth > MAX_DEPTH:
            return
        self._seen.add(identity)
        try:
            with os.scandir(directory) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            self._listing.closed[directory] = error.strerror or str(error)
            return
        if depth and any(entry.name == "conda-meta" for entry in listed):
            return  # an environment: the files in it are its packages'
        for entry in listed:
            self._entry(directory / entry.name, entry, depth)

    def _entry(self, path: Path, entry: "os.DirEntry[str]", depth: int) -> None:
        if entry.name.startswith(".") or entry.name in FOREIGN:
            return
        found = _stat(path)
        if found is None:
            return
        if stat.S_ISDIR(found.st_mode):
            if entry.is_symlink():
                self._points.add((path, found.st_dev, found.st_ino))
            self._directory(path, found, depth + 1)
        elif stat.S_ISREG(found.st_mode) and is_candidate(entry.name, depth):
            self._listing.files[Source(self._namespace, path)] = signature(found)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _is_directory(path: Path) -> bool:
    found = _stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def default_name(path: Path) -> str | None:
    """The environment that a file without `name:` means: `team.yml` is team, `team/environment.yml` too."""
    return (path.parent.name if path.name in NAMES else path.stem) or None


def mounts(mountinfo: str) -> Iterator[tuple[Path, str]]:
    """(mount point, file system type) of each line of /proc/self/mountinfo."""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if right:
            point = left.split()[4].encode().decode("unicode_escape")
            yield Path(point), right.split()[0]
