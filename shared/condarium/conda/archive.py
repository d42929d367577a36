"""A package archive, opened: what its metadata says, and its files in a spool.

`.conda` and `.tar.bz2`, from a path or a seekable file object. The payload is read once, in order, into a `Spool`, so a
package of 2 GB costs no more memory than a small one. Names that would leave the prefix are refused before anything is
kept.
"""

import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from condarium.conda.pieces.package_paths import (
    EntryPoint,
    PathEntry,
    parse_deprecated,
    parse_entry_points,
    parse_paths,
)
from condarium.conda.pieces.spool import Spool, Spooled
from condarium.errors import InputFault, WorldFault

# Metadata is held in memory: the paths.json of the largest packages is about 20 MB.
_INFO_LIMIT_BYTES = 256 << 20
_INFO_FILES = frozenset(
    f"info/{name}"
    for name in ("index.json", "paths.json", "link.json", "files", "has_prefix", "no_link", "no_softlink")
)
# What zstd reads by default, and so rattler; it is the memory that reading may take.
WINDOW_BYTES = 1 << 27
_TAR_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True)
class File:
    content: Spooled
    executable: bool


@dataclass(frozen=True)
class Symlink:
    target: str


@dataclass(frozen=True)
class Directory:
    pass


@dataclass(frozen=True)
class Package:
    """An opened package; `files` are by their name in the archive, without `info/`."""

    filename: str
    noarch: str | None
    paths: tuple[PathEntry, ...]
    entry_points: tuple[EntryPoint, ...]
    files: Mapping[str, File | Symlink | Directory]


def bad_package(filename: str, what: str) -> InputFault:
    return InputFault(f"package {filename} is malformed: {what}", reason="bad-package")


@dataclass
class _Reading:
    filename: str
    spool: Spool
    files: dict[str, File | Symlink | Directory] = field(default_factory=dict)
    info: dict[str, bytes] = field(default_factory=dict)

    def take(self, stream: BinaryIO) -> None:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_TAR_BUFFER_BYTES) as tar:
            for member in tar:
                self._take_member(tar, member)
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header otherwise

    def _take_member(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = safe_name(member.name, self.filename)
        if name is None:
            return
        if name in _INFO_FILES:
            self._take_info(tar, member, name)
        elif name.startswith("info/") or name == "info":
            return
        elif member.isreg():
            source = tar.extractfile(member)
            assert source is not None
            content = self.spool.add(source, f"package {self.filename}")  # type: ignore[arg-type]
            if content.size != member.size:
                raise bad_package(self.filename, f"{name} ends early")
            self.files[name] = File(content, bool(member.mode & 0o111))
        elif member.issym():
            if not member.linkname:
                raise bad_package(self.filename, f"{name} is a symbolic link to nothing")
            self.files[name] = Symlink(member.linkname)
        elif member.islnk():
            self._take_hard_link(name, member.linkname)
        elif member.isdir():
            self.files[name] = Directory()
        else:
            raise bad_package(self.filename, f"{name} is neither a file, a link nor a directory")

    def _take_info(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        source = tar.extractfile(member)
        if source is None or member.size > _INFO_LIMIT_BYTES:
            raise bad_package(self.filename, f"{name} is not a file of at most {_INFO_LIMIT_BYTES} bytes")
        self.info[name] = source.read()

    def _take_hard_link(self, name: str, linkname: str) -> None:
        target = self.files.get(safe_name(linkname, self.filename) or "")
        if not isinstance(target, File):
            raise bad_package(self.filename, f"{name} is a hard link to {linkname!r}, which is not in the package")
        self.files[name] = target


def safe_name(name: str, filename: str) -> str | None:
    """`name` without `./` and trailing slash; None for the root itself. Raises InputFault where it would leave the
    prefix.
    """
    if "\0" in name or name.startswith("/"):
        raise bad_package(filename, f"the name {name!r} is not a relative path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise bad_package(filename, f"the name {name!r} leaves the prefix")
    return "/".join(parts) or None


def read_package(source: Path | BinaryIO, filename: str, spool: Spool) -> Package:
    """Read the archive `filename` (its extension decides the format); contents are readable while `spool` is open.

    Raises InputFault("bad-package") for whatever is wrong with the archive, WorldFault when the disk fails.
    """
    reading = _Reading(filename, spool)
    with malformed_as_input_fault(filename):
        if filename.endswith(".conda"):
            _read_conda(reading, source)
        elif filename.endswith(".tar.bz2"):
            _read_tar_bz2(reading, source)
        else:
            raise bad_package(filename, "its name ends neither in .conda nor in .tar.bz2")
        return _describe(reading)


@contextmanager
def malformed_as_input_fault(filename: str) -> Iterator[None]:
    """Whatever the readers of zip, tar, zstd, bz2 and JSON say about bad bytes, said once, with the package's name."""
    try:
        yield
    except OSError as error:
        # The decompressors raise OSError without a number for bad data; one with a number is the disk's.
        if error.errno is not None:
            raise WorldFault(f"cannot read package {filename}: {error}") from error
        raise bad_package(filename, str(error)) from error
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zstandard.ZstdError,
        zlib.error,
        AttributeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        RecursionError,
    ) as error:
        raise bad_package(filename, f"{type(error).__name__}: {error}") from error


def _read_conda(reading: _Reading, source: Path | BinaryIO) -> None:
    with zipfile.ZipFile(source) as archive:
        tars = sorted(name for name in archive.namelist() if name.endswith(".tar.zst"))  # info-... before pkg-...
        kinds = [name.split("-", 1)[0] for name in tars]
        if kinds != ["info", "pkg"]:
            raise bad_package(reading.filename, f"holds {tars}, not one info-*.tar.zst and one pkg-*.tar.zst")
        for name in tars:
            decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
            with (
                archive.open(name) as compressed,
                decompressor.stream_reader(compressed, read_across_frames=True, closefd=False) as stream,
            ):
                reading.take(stream)


def _read_tar_bz2(reading: _Reading, source: Path | BinaryIO) -> None:
    import bz2

    with bz2.open(source, "rb") as stream:
        reading.take(stream)  # type: ignore[arg-type]


def _describe(reading: _Reading) -> Package:
    info = reading.info
    if "info/index.json" not in info:
        raise bad_package(reading.filename, "has no info/index.json")
    index: dict[str, Any] = json.loads(info["info/index.json"])
    noarch = "python" if index.get("noarch") == "python" else ("generic" if index.get("noarch") else None)
    if "info/paths.json" in info:
        paths = parse_paths(info["info/paths.json"])
    elif "info/files" in info:
        symlinks = {name for name, file in reading.files.items() if isinstance(file, Symlink)}
        paths = parse_deprecated(info, symlinks)
    else:
        raise bad_package(reading.filename, "has neither info/paths.json nor info/files")
    points = parse_entry_points(info["info/link.json"]) if noarch == "python" and "info/link.json" in info else ()
    return Package(reading.filename, noarch, paths, points, reading.files)
