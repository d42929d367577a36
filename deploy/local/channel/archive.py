"""Writes conda packages (`.conda` and `.tar.bz2`), the same bytes for the same content, whoever runs it."""

import bz2
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import zstandard

# 255 characters, as conda-build has it: long enough that every real prefix fits into a binary file in its place.
PLACEHOLDER = "/sample_channel_placehold" + "_placehold" * 23
LEVEL = 6  # of zstd: 12 saves 5 % and costs three times the seconds

FIRST_DAY = 1_704_067_200_000  # 2024-01-01, in milliseconds
DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class File:
    """A regular file; `prefix` says how the placeholder in it is to be replaced when it is linked."""

    data: bytes
    executable: bool = False
    prefix: Literal["text", "binary"] | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, relative, inside the package's own prefix."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """One conda package in memory. `build_pattern` holds `{hash}`, which becomes 7 digits of the content's hash."""

    name: str
    version: str
    build_pattern: str
    files: Mapping[str, File | Link] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: Literal["python", "generic"] | None = None
    entry_points: tuple[str, ...] = ()
    licence: str = ""
    licence_texts: Mapping[str, bytes] = field(default_factory=dict)
    summary: str = ""
    home: str = ""
    timestamp: int | None = None  # milliseconds; None picks a fixed day out of the name and version
    index_extra: Mapping[str, Any] = field(default_factory=dict)
    bzip2: bool = False

    @property
    def subdir(self) -> str:
        return "noarch" if self.noarch else "linux-64"

    @cached_property
    def paths(self) -> list[dict[str, Any]]:
        """The entries of paths.json, sorted by path."""
        return [_path_entry(path, self.files[path]) for path in sorted(self.files)]

    @cached_property
    def build(self) -> str:
        content = json.dumps([self.depends, self.constrains, self.entry_points, self.paths], sort_keys=True)
        return self.build_pattern.format(hash=hashlib.sha256(content.encode()).hexdigest()[:7])

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def milliseconds(self) -> int:
        if self.timestamp is not None:
            return self.timestamp
        digest = hashlib.sha256(f"{self.name} {self.version}".encode()).digest()
        return FIRST_DAY + int.from_bytes(digest[:4], "big") % 700 * DAY

    def index_record(self) -> dict[str, Any]:
        """What goes into index.json, and from there into the channel's repodata."""
        record: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": _build_number(self.build),
            "depends": sorted(self.depends),
            "constrains": sorted(self.constrains),
            "subdir": self.subdir,
            "arch": None if self.noarch else "x86_64",
            "platform": None if self.noarch else "linux",
            "timestamp": self.milliseconds,
        }
        if self.noarch:
            record["noarch"] = self.noarch
        if self.licence:
            record["license"] = self.licence
        return record | dict(self.index_extra)


def write(package: Package, channel: Path) -> Path:
    """Write `package` below `channel`, in the folder of its platform; returns the archive's path."""
    folder = channel / package.subdir
    folder.mkdir(parents=True, exist_ok=True)
    info = _info_members(package)
    payload: list[tuple[str, File | Link]] = [(path, package.files[path]) for path in sorted(package.files)]
    seconds = package.milliseconds // 1000
    if package.bzip2:
        target = folder / f"{package.stem}.tar.bz2"
        plain = io.BytesIO()
        _write_tar(cast(BinaryIO, plain), [*info, *payload], seconds)
        target.write_bytes(bz2.compress(plain.getbuffer()))
        return target
    target = folder / f"{package.stem}.conda"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "metadata.json", b'{"conda_pkg_format_version": 2}')
        _add(archive, f"pkg-{package.stem}.tar.zst", _zstd_tar(payload, seconds))
        _add(archive, f"info-{package.stem}.tar.zst", _zstd_tar(info, seconds))
    return target


def _path_entry(path: str, content: File | Link) -> dict[str, Any]:
    if isinstance(content, Link):
        empty = hashlib.sha256(b"").hexdigest()
        return {"_path": path, "path_type": "softlink", "sha256": empty, "size_in_bytes": 0}
    entry: dict[str, Any] = {
        "_path": path,
        "path_type": "hardlink",
        "sha256": hashlib.sha256(content.data).hexdigest(),
        "size_in_bytes": len(content.data),
    }
    if content.prefix:
        entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": content.prefix}
    return entry


def _build_number(build: str) -> int:
    found = re.search(r"_(\d+)(?:_cpython)?$", build)
    return int(found[1]) if found else 0


def _info_members(package: Package) -> list[tuple[str, File | Link]]:
    about = {"summary": package.summary, "license": package.licence, "home": package.home, "channels": []}
    texts: dict[str, bytes] = {
        "info/about.json": _json({key: value for key, value in about.items() if value or key == "summary"}),
        "info/files": "".join(f"{entry['_path']}\n" for entry in package.paths).encode(),
        "info/index.json": _json(package.index_record()),
        "info/paths.json": _json({"paths": package.paths, "paths_version": 1}),
    }
    if package.noarch == "python":
        python = {"type": "python", "entry_points": list(package.entry_points)}
        texts["info/link.json"] = _json({"noarch": python, "package_metadata_version": 1})
    for name, text in package.licence_texts.items():
        texts[f"info/licenses/{name}"] = text
    return [(name, File(texts[name])) for name in sorted(texts)]


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _zstd_tar(members: list[tuple[str, File | Link]], seconds: int) -> bytes:
    packed = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    with compressor.stream_writer(packed, closefd=False) as stream:
        _write_tar(cast(BinaryIO, stream), members, seconds)
    return packed.getvalue()


def _write_tar(target: BinaryIO, members: list[tuple[str, File | Link]], seconds: int) -> None:
    # "w|" streams in blocks of a fixed size, so that the compressor sees the same pieces on every machine.
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 20) as tar:
        for info, data in _tar_members(members, seconds):
            tar.addfile(info, data)


def _tar_members(
    members: list[tuple[str, File | Link]], seconds: int
) -> Iterator[tuple[tarfile.TarInfo, io.BytesIO | None]]:
    for path, content in members:
        info = tarfile.TarInfo(path)
        info.mtime = seconds
        if isinstance(content, Link):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, content.target, 0o777
            yield info, None
        else:
            info.size, info.mode = len(content.data), 0o755 if content.executable else 0o644
            yield info, io.BytesIO(content.data)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
    info.create_system = 3  # or the byte would tell the platform that wrote it
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)
