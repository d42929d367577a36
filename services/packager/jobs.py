"""What the packager and its children say to each other, as JSON lines.

To the child, once: {"setup": {"storage_url", "cache", "cache_bytes", "spool"}}.
A lock, before the first job that names it: {"lock": <lock>}; {"forget": true} when there are too many.
{"channels": as of ChannelSettings}, with the credentials of the artifact that the following jobs are for.
{"ahead": [[url, sha256, size], ...]} for what the following jobs will need. Then any number of
{"job": number, "kind": "layer" | "member" | "text" | "fetch", ...}; each is answered by
{"event": "made", "job", "result"} or {"event": "failed", "job", "kind": "input" | "world", "message", ...}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Wheel
from condarium.errors import CondariumError, InputFault, WorldFault

#: locks that a child keeps at hand; more than a build has platforms
LOCKS_KEPT = 16

Compression = Literal["gzip", "zstd"]


@dataclass(frozen=True)
class Setup:
    """What a child needs besides its jobs; directories as text."""

    storage_url: str
    cache: str
    cache_bytes: int
    spool: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PieceJob:
    """A layer or a member; `size` in bytes of the archives, what its place in the order is decided by."""

    kind: Literal["layer", "member"]
    lock: Lock
    members: Sequence[Member]
    compression: Compression = "gzip"

    @property
    def size(self) -> int:
        return sum(member.size for member in self.members)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "lock": self.lock.hash,
            "members": [[member_kind(member), member.name] for member in self.members],
            "compression": self.compression,
        }


@dataclass(frozen=True)
class TextJob:
    """A lockfile that is put into storage under `key`."""

    format: str
    locks: Sequence[Lock]
    key: str
    mirrored: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "text",
            "format": self.format,
            "locks": [lock.hash for lock in self.locks],
            "key": self.key,
            "mirrored": dict(self.mirrored),
        }


@dataclass(frozen=True)
class FetchJob:
    """Brings archives into the cache, verified: [url, sha256, size] each. The result says nothing."""

    wanted: Sequence[tuple[str, str, int]]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "fetch", "wanted": [list(each) for each in self.wanted]}


def member_kind(member: Member) -> str:
    return "wheel" if isinstance(member, Wheel) else "conda"


def members_of(lock: Lock, named: Sequence[Sequence[str]]) -> list[Member]:
    """The lock's packages behind [[kind, name], ...], in that order."""
    known: dict[tuple[str, str], Member] = {(member_kind(member), member.name): member for member in lock.pypi}
    known |= {(member_kind(member), member.name): member for member in lock.conda}
    return [known[kind, name] for kind, name in named]


def fault_to_json(error: CondariumError) -> dict[str, Any]:
    if isinstance(error, InputFault):
        return {"kind": "input", "message": str(error), "reason": error.reason}
    after = error.retry_after if isinstance(error, WorldFault) else None
    return {"kind": "world", "message": str(error), "retry_after": after}


def fault_from_json(message: Mapping[str, Any]) -> CondariumError:
    if message["kind"] == "input":
        return InputFault(message["message"], reason=message["reason"])
    return WorldFault(message["message"], retry_after=message.get("retry_after"))
