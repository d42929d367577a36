"""conda-meta: the record of an installed package as rattler writes it, and the two files of the environment itself.

A record here holds no trace of the machine that made it: `extracted_package_dir` is left out, `link.source` is empty,
`requested_specs` is empty (the environment's history has them), and the index's own `indexed_timestamp` is dropped, so
that a re-indexed channel does not change a layer. Everything else equals rattler's file byte for byte.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from condarium.domain.canonical import canonical_hash
from condarium.domain.lock import Lock, Record

_TAIL = ("fn", "url", "channel")
_NOT_OF_THE_PACKAGE = ("indexed_timestamp",)
_LINKED_BY_COPY = 3


@dataclass(frozen=True)
class InstalledPath:
    """One path of a package in the prefix; `size` in bytes."""

    path: str
    path_type: str
    no_link: bool = False
    sha256: str | None = None
    sha256_in_prefix: str | None = None
    size: int | None = None
    file_mode: str | None = None
    placeholder: str | None = None

    def to_json(self) -> dict[str, Any]:
        pairs = {
            "_path": self.path,
            "path_type": self.path_type,
            "no_link": True if self.no_link else None,
            "sha256": self.sha256,
            "sha256_in_prefix": self.sha256_in_prefix,
            "size_in_bytes": self.size,
            "file_mode": self.file_mode,
            "prefix_placeholder": self.placeholder,
        }
        return {key: value for key, value in pairs.items() if value is not None}


def path_order(path: str) -> list[bytes]:
    """rattler sorts paths by their components, so that `a/b` comes before `a-b/c`."""
    return [part.encode() for part in path.split("/")]


def record_filename(record: Record) -> str:
    return f"conda-meta/{record.filename.removesuffix('.conda').removesuffix('.tar.bz2')}.json"


def _package_facts(record: Record) -> dict[str, Any]:
    return {key: record.raw[key] for key in sorted(record.raw) if key not in _TAIL and key not in _NOT_OF_THE_PACKAGE}


def record_identity(record: Record) -> str:
    """sha256 of what a conda-meta record takes from the channel's metadata, which may be patched without a new
    archive.
    """
    return canonical_hash({**_package_facts(record), **{key: record.raw[key] for key in _TAIL if key in record.raw}})


def prefix_record_json(record: Record, paths: Sequence[InstalledPath]) -> bytes:
    """The content of `conda-meta/<name>-<version>-<build>.json`."""
    ordered = sorted(paths, key=lambda path: path_order(path.path))
    document = {
        **_package_facts(record),
        **{key: record.raw[key] for key in _TAIL if key in record.raw},
        "requested_specs": [],
        "files": [path.path for path in ordered],
        "paths_data": {"paths_version": 1, "paths": [path.to_json() for path in ordered]},
        "link": {"source": "", "type": _LINKED_BY_COPY},
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def history(lock: Lock) -> bytes:
    """conda-meta/history: what conda reads the requested specs from; the date is the same for every lock."""
    lines = ["==> 1980-01-02 00:00:00 <==", "# cmd: condarium"]
    lines += [f"+{_dist(record)}" for record in sorted(lock.conda, key=lambda record: record.name)]
    if lock.requested:
        lines.append(f"# update specs: {_python_list(sorted(lock.requested))}")
    return ("\n".join(lines) + "\n").encode()


def _dist(record: Record) -> str:
    channel = record.channel.rstrip("/")
    return f"{channel}/{record.subdir}::{record.name}-{record.version}-{record.build}"


def _python_list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(repr(text) for text in texts) + "]"


def state(variables: Mapping[str, str]) -> bytes:
    """conda-meta/state: the variables that conda, mamba and pixi export on activation."""
    return json.dumps({"version": 1, "env_vars": dict(sorted(variables.items()))}, ensure_ascii=False).encode()
