"""Packages of an environment as a conda channel in a registry, laid out as conda's clients of `oci://` look for it.

A package is the repository `<channel>/<subdir>/<name>` with the tag `<version>-<build>`, the repodata of a subdir is
`<channel>/<subdir>/repodata.json:latest`. Names and tags are written in the characters that OCI allows. Pure: no I/O.
"""

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from condarium.domain.canonical import canonical_json
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.lock import Record

#: the repository of a subdir's index
REPODATA = "repodata.json"
REPODATA_TAG = "latest"
#: by encoding: as it is, gzip, zstd
REPODATA_TYPE = "application/vnd.conda.repodata.v1+json"
REPODATA_GZIP_TYPE = f"{REPODATA_TYPE}+gzip"
REPODATA_ZSTD_TYPE = f"{REPODATA_TYPE}+zst"

_ARCHIVE_TYPES = {
    ".conda": "application/vnd.conda.package.v2",
    ".tar.bz2": "application/vnd.conda.package.v1",
}
_INFO_TYPE = "application/vnd.conda.info.v1.tar+gzip"
_INDEX_TYPE = "application/vnd.conda.info.index.v1+json"

#: packages have no config; the specification names this for such manifests
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_DIGEST = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

_TITLE = "org.opencontainers.image.title"
_LONGEST_TAG = 128
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")


@dataclass(frozen=True)
class Part:
    """A blob: `digest` in hex, `size` in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Parts:
    """A package in storage: the archive itself, its info directory as tar.gz, and its info/index.json."""

    archive: Part
    info: Part
    index: Part

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[object]]) -> "Parts":
        return cls(*(Part(str(data[name][0]), int(str(data[name][1]))) for name in ("archive", "info", "index")))

    def to_json(self) -> dict[str, list[object]]:
        named = (("archive", self.archive), ("info", self.info), ("index", self.index))
        return {name: [part.digest, part.size] for name, part in named}

    def find(self, digest: str) -> Part | None:
        return next((part for part in (self.archive, self.info, self.index) if part.digest == digest), None)


@dataclass(frozen=True)
class Encoded:
    """Repodata in one encoding."""

    media_type: str
    digest: str
    body: bytes


def component(name: str) -> str:
    """A package's name as the last part of a repository, which must not begin with an underscore."""
    return f"zzz{name}" if name.startswith("_") else name


def names_behind(last: str) -> tuple[str, ...]:
    """The names of packages that the last part of a repository may stand for."""
    return (last, last.removeprefix("zzz")) if last.startswith("zzz_") else (last,)


def tag(version: str, build: str) -> str:
    """Of a package; `+`, `!` and `=` are written in words."""
    return f"{version}-{build}".replace("+", "__p__").replace("!", "__e__").replace("=", "__eq__")


def tags_of(records: Iterable[Record]) -> list[str]:
    """Sorted as bytes; without those that no tag can be."""
    every = {tag(record.version, record.build) for record in records}
    return sorted(each for each in every if len(each) <= _LONGEST_TAG and _TAG.match(each))


def file_name(record: Record) -> str:
    """Of the archive as repodata has it; in addresses some characters of it may be escaped."""
    return unquote(record.filename)


def archive_type(filename: str) -> str:
    """The media type of an archive, by the end of its name. Raises ValueError for what is no package."""
    for ending, media_type in _ARCHIVE_TYPES.items():
        if filename.endswith(ending):
            return media_type
    raise ValueError(f"{filename} ends neither in .conda nor in .tar.bz2")


def package_manifest(filename: str, parts: Parts) -> bytes:
    """A function of the package alone: every environment with it serves the same bytes."""
    media_type = archive_type(filename)
    layers = [
        _descriptor(media_type, parts.archive.digest, parts.archive.size, filename),
        _descriptor(_INFO_TYPE, parts.info.digest, parts.info.size, "info.tar.gz"),
        _descriptor(_INDEX_TYPE, parts.index.digest, parts.index.size, "index.json"),
    ]
    return _manifest(media_type, layers)


def index_manifest(encodings: Sequence[tuple[str, str, int]]) -> bytes:
    """Of a subdir's repodata; (media type, digest in hex, bytes) of each encoding."""
    layers = [_descriptor(media_type, digest, size, REPODATA) for media_type, digest, size in encodings]
    return _manifest(REPODATA_TYPE, layers)


def repodata(subdir: str, records: Iterable[Record]) -> bytes:
    """The index of the packages of that subdir, as channels have it; addresses are those of this channel.

    Of two with one file name the first is listed.
    """
    sections: dict[str, dict[str, object]] = {"packages": {}, "packages.conda": {}}
    for record in records:
        if record.subdir == subdir:
            filename = file_name(record)
            section = sections["packages.conda" if filename.endswith(".conda") else "packages"]
            section.setdefault(filename, _entry(record))
    whole = {"info": {"subdir": subdir}, **sections, "removed": [], "repodata_version": 1}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


def _entry(record: Record) -> dict[str, object]:
    return {name: value for name, value in record.raw.items() if name not in ("url", "channel", "fn")}


def _descriptor(media_type: str, digest: str, size: int, title: str) -> dict[str, object]:
    return {
        "mediaType": media_type,
        "digest": f"sha256:{digest}",
        "size": size,
        "annotations": {_TITLE: title},
    }


def _manifest(artifact_type: str, layers: list[dict[str, object]]) -> bytes:
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": {"mediaType": EMPTY_TYPE, "digest": f"sha256:{EMPTY_DIGEST}", "size": len(EMPTY)},
            "layers": layers,
        }
    )
