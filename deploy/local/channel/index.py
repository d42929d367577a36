"""Indexes a folder of packages, and proves that everything in it can be installed."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from rattler import BuildString, MatchSpec, PackageRecord
from rattler.index import index_fs

from deploy.local.channel.problem import ChannelError

SUBDIRS = ("linux-64", "noarch")


def index(channel: Path) -> list[dict[str, Any]]:
    """Write repodata.json, .zst and shards for every platform; returns all records.

    All but repodata_shards.msgpack.zst, which says when it was written, is the same for the same packages.

    Raises: ChannelError when a package requires what no package of the channel is.
    """
    for subdir in SUBDIRS:
        (channel / subdir).mkdir(parents=True, exist_ok=True)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False))
    _forget_the_day(channel)
    asyncio.run(index_fs(channel, write_zst=True, write_shards=True))
    shutil.rmtree(channel / ".tmp", ignore_errors=True)
    found = records(channel)
    _require_closed(found)
    return found


def records(channel: Path) -> list[dict[str, Any]]:
    """The records of the channel's repodata, with `fn` and `subdir`, sorted by file name."""
    found: list[dict[str, Any]] = []
    for subdir in SUBDIRS:
        repodata = json.loads((channel / subdir / "repodata.json").read_text())
        for kind in ("packages", "packages.conda"):
            found += [record | {"fn": name} for name, record in repodata.get(kind, {}).items()]
    return sorted(found, key=lambda record: record["fn"])


def _forget_the_day(channel: Path) -> None:
    """Date every record by its package: the indexer keeps the dates that it finds, and else takes today's.

    They would go from here into every lock and every conda-meta.
    """
    for subdir in SUBDIRS:
        path = channel / subdir / "repodata.json"
        repodata = json.loads(path.read_text())
        for kind in ("packages", "packages.conda"):
            for record in repodata.get(kind, {}).values():
                record["indexed_timestamp"] = record["timestamp"]
        path.write_text(json.dumps(repodata))


def _require_closed(found: list[dict[str, Any]]) -> None:
    by_name: dict[str, list[PackageRecord]] = {}
    for record in found:
        by_name.setdefault(record["name"], []).append(_package_record(record))
    asked: dict[str, str] = {}
    for record in found:
        for spec in record["depends"]:
            asked.setdefault(spec, record["fn"])
    missing = [f"{spec} (for {name})" for spec, name in sorted(asked.items()) if not _is_met(spec, by_name)]
    if missing:
        listed = "; ".join(missing[:5]) + (f"; and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise ChannelError(
            f"the channel would not be complete, no package is {listed}; add the wheels that are missing"
        )


def _is_met(spec: str, by_name: dict[str, list[PackageRecord]]) -> bool:
    name = spec.split()[0]
    if name.startswith("__"):
        return True  # a virtual package: the installing machine is it
    match = MatchSpec(spec)
    return any(match.matches(record) for record in by_name.get(name, []))


def _package_record(record: dict[str, Any]) -> PackageRecord:
    return PackageRecord(
        name=record["name"],
        version=record["version"],
        build=BuildString(record["build"]),
        build_number=record["build_number"],
        subdir=record["subdir"],
        arch=None,
        platform=None,
    )
