"""A record of repodata as the package index keeps it. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

#: the part of a channel that has the summaries; all others are subdirs
CHANNELDATA = "channeldata.json"

#: characters: an index of the database holds no more than a third of a page
LONGEST_NAME, _LONGEST_BUILD = 255, 500
_LARGEST = 2**63 - 1
#: larger timestamps are milliseconds, smaller ones seconds: the end of the year 9999
_LAST_SECOND = 253_402_300_799
_BETWEEN_FIELDS, _BETWEEN_ITEMS = "\x1f", "\x1e"


class IndexRecord(NamedTuple):
    """`digest` is of all the rest, 16 bytes: the same digest is the same record. `timestamp` in ms, `size` in bytes."""

    digest: bytes
    name: str
    version: str
    file_name: str
    build: str
    build_number: int
    license: str | None
    size: int
    timestamp: int
    sha256: str | None
    depends: list[str]
    constrains: list[str]


def index_record(file_name: str, raw: Mapping[str, Any]) -> IndexRecord | None:
    """The record of a file; None for what is no record (a field is missing, or is not what it should be)."""
    try:
        name, version, build = raw["name"].lower(), raw["version"], raw["build"]
        number, size = raw.get("build_number") or 0, raw.get("size") or 0
        timestamp = raw.get("timestamp") or 0
        license_, sha256 = raw.get("license") or "", raw.get("sha256") or ""
        depends, constrains = raw.get("depends") or [], raw.get("constrains") or []
        if timestamp <= _LAST_SECOND:
            timestamp *= 1000
        timestamp = int(timestamp)
        if max(len(name), len(version)) > LONGEST_NAME or len(build) > _LONGEST_BUILD:
            return None
        if not (name and version and 0 <= number <= _LARGEST and 0 <= size <= _LARGEST and 0 <= timestamp <= _LARGEST):
            return None
        text = _BETWEEN_FIELDS.join(
            (
                file_name,
                name,
                version,
                build,
                f"{number:d}",
                license_,
                f"{size:d}",
                f"{timestamp:d}",
                sha256,
                _BETWEEN_ITEMS.join(depends),
                _BETWEEN_ITEMS.join(constrains),
            )
        )
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if "\0" in text:
        return None  # no database text can hold it
    return IndexRecord(
        digest,
        name,
        version,
        file_name,
        build,
        number,
        license_ or None,
        size,
        timestamp,
        sha256 or None,
        list(depends),
        list(constrains),
    )
