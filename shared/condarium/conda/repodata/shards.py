"""Sharded repodata (CEP 16): a list of names with the digest of each name's records, and a file for each digest.

What has changed is found in the list, and only that is fetched. To begin with, a file of everything is quicker than
tens of thousands of requests.
"""

import hashlib
import urllib.error
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import msgpack
import zstandard

from condarium.conda import repodata
from condarium.conda.channels import ChannelSettings
from condarium.conda.fetch import http_fault, open_place
from condarium.conda.repodata import Absent, Brought, Unchanged, unpacked
from condarium.domain.package_index import IndexRecord, index_record
from condarium.domain.redaction import redact
from condarium.errors import InputFault, WorldFault

_FILE = "repodata_shards.msgpack.zst"
_LARGEST_LIST = 256 << 20
_LARGEST_SHARD = 64 << 20
_PARALLEL = 8


@dataclass(frozen=True)
class Shards:
    """`digests`: name -> sha256 of its shard, 32 bytes; `base` is the URL that shards lie under."""

    digests: Mapping[str, bytes]
    base: str = field(repr=False)
    seen: Mapping[str, Any]


def bring_list(
    channel: str, part: str, settings: ChannelSettings, seen: Mapping[str, Any]
) -> Shards | Unchanged | Absent:
    """The list of shards, unless it is what was `seen` last. Raises WorldFault and InputFault as `repodata.bring`."""
    found = repodata.bring(channel, part, settings, seen, names=(_FILE,))
    if not isinstance(found, Brought):
        return found
    with found.spool, unpacked(found) as source:
        raw = source.read(_LARGEST_LIST + 1)
    try:
        if len(raw) > _LARGEST_LIST:
            raise ValueError(f"it has more than {_LARGEST_LIST} bytes")
        content = msgpack.unpackb(raw, raw=False, strict_map_key=False)
        digests = {str(name): bytes(digest) for name, digest in content["shards"].items()}
        if any(len(digest) != 32 for digest in digests.values()):
            raise ValueError("a digest is no sha256")
        base = urljoin(found.place, str(content["info"].get("shards_base_url") or "./"))
    except (ValueError, KeyError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise WorldFault(f"{found.shown} cannot be used: {error!r}.") from None
    return Shards(digests, base if base.endswith("/") else f"{base}/", found.seen)


def records(shards: Shards, names: Iterable[str], settings: ChannelSettings) -> Iterator[IndexRecord]:
    """The records of these names; what is none is left out. Raises WorldFault and InputFault."""
    wanted = sorted({shards.digests[name] for name in names if name in shards.digests})
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="shards") as pool:
        for content in pool.map(lambda digest: _shard(shards.base, digest, settings), wanted):
            for kind in ("packages", "packages.conda"):
                for file_name, raw in content.get(kind, {}).items():
                    record = index_record(file_name, _plain(raw))
                    if record is not None:
                        yield record


def _shard(base: str, digest: bytes, settings: ChannelSettings) -> dict[str, Any]:
    place = f"{base}{digest.hex()}.msgpack.zst"
    shown = redact(place, settings.secrets())
    try:
        with open_place(place, settings, 60.0) as source:
            packed = source.read(_LARGEST_SHARD + 1)
        if hashlib.sha256(packed).digest() != digest:
            raise WorldFault(f"{shown} has another sha256 than its name says.")
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as source:
            content = msgpack.unpackb(source.read(_LARGEST_SHARD), raw=False, strict_map_key=False)
        return {kind: dict(content.get(kind) or {}) for kind in ("packages", "packages.conda")}
    except urllib.error.HTTPError as error:
        raise http_fault(error, shown, settings.refusal(place)) from None
    except (WorldFault, InputFault):
        raise
    except Exception as error:  # of the network, of zstandard, of msgpack, of what is no map
        raise WorldFault(f"{shown} cannot be used: {error!r}.") from None


def _plain(raw: Any) -> dict[str, Any]:
    """As in repodata.json, where digests are text."""
    if not isinstance(raw, dict):
        return {}
    sha256 = raw.get("sha256")
    return {**raw, "sha256": sha256.hex()} if isinstance(sha256, bytes) else raw
