"""What the packager and its children say to each other, as JSON lines.

To the child, once: {"setup": {"storage_url", "cache", "cache_bytes", "spool"}}.
A lock, before the first job that names it: {"lock": <lock>}; {"forget": true} when there are too many.
{"channels": as of ChannelSettings}, with the credentials of the artifact that the following jobs are for.
{"ahead": [[url, sha256, size], ...]} for what the following jobs will need. Then any number of
{"job": number, "kind": "layer" | "member" | "join" | "top" | "probe" | "text" | "fetch" | "package", ...}; each is
answered by
{"event": "made", "job", "result"} or {"event": "failed", "job", "kind": "input" | "world", "message", ...}.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from condarium.conda.pieces.bytecode import Bytecode
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Record, Wheel
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
class Python:
    """The package of the Python that makes .pyc files, and what is in their names (`tag`)."""

    record: Record
    bytecode: Bytecode
    tag: str

    def to_json(self) -> dict[str, Any]:
        return {"record": dict(self.record.raw), "bytecode": asdict(self.bytecode), "tag": self.tag}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Python":
        return cls(Record(data["record"]), Bytecode(**data["bytecode"]), data["tag"])


@dataclass(frozen=True)
class PieceJob:
    """A layer or a member; `size` in bytes of the archives, what its place in the order is decided by."""

    kind: Literal["layer", "member"]
    lock: Lock
    members: Sequence[Member]
    compression: Compression = "gzip"
    python: Python | None = None

    @property
    def size(self) -> int:
        return sum(member.size for member in self.members)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "lock": self.lock.hash,
            "members": [[member_kind(member), member.name] for member in self.members],
            "compression": self.compression,
            "python": self.python.to_json() if self.python else None,
        }


@dataclass(frozen=True)
class StoredPart:
    """A member's layer in storage: what `conda.pieces.layer.Part` says, without the bytes."""

    digest: str
    size: int
    details: Mapping[str, Any]
    paths: bytes

    def to_json(self) -> dict[str, Any]:
        details = {name: self.details[name] for name in ("head", "counts", "link_scripts", "diff_id", "raw_size")}
        return {"digest": self.digest, "size": self.size, **details, "paths": base64.b64encode(self.paths).decode()}


@dataclass(frozen=True)
class JoinJob:
    """The layer of a group out of its members' layers."""

    parts: Sequence[StoredPart]
    compression: Compression = "gzip"
    kind: ClassVar[Literal["layer"]] = "layer"
    members: ClassVar[Sequence[Member]] = ()
    locks: ClassVar[Sequence[Lock]] = ()

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "join", "parts": [part.to_json() for part in self.parts], "compression": self.compression}


@dataclass(frozen=True)
class TopJob:
    """The layer over all others, where it takes more than the lock: paths out of other layers, link scripts."""

    lock: Lock
    corrections: Sequence[tuple[StoredPart, Sequence[int]]]
    run_scripts: bool = False
    compression: Compression = "gzip"
    kind: ClassVar[Literal["layer"]] = "layer"

    @property
    def members(self) -> Sequence[Member]:
        """Whose archives it needs."""
        return self.lock.conda if self.run_scripts else ()

    @property
    def locks(self) -> Sequence[Lock]:
        return (self.lock,)

    @property
    def size(self) -> int:
        return sum(part.size for part, _ in self.corrections)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "top",
            "lock": self.lock.hash,
            "corrections": [[part.to_json(), list(paths)] for part, paths in self.corrections],
            "run_scripts": self.run_scripts,
            "compression": self.compression,
        }


@dataclass(frozen=True)
class ProbeJob:
    """Whether a Python runs here. The result is {"tag"} or {"refusal"}."""

    record: Record
    bytecode: Bytecode
    locks: ClassVar[Sequence[Lock]] = ()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "probe", "record": dict(self.record.raw), "bytecode": asdict(self.bytecode)}


@dataclass(frozen=True)
class TextJob:
    """A lockfile that is put into storage under `key`, or under its digest when that is empty."""

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


@dataclass(frozen=True)
class PackageJob:
    """Puts an archive and its metadata into storage. The result is `Parts` as of `domain.oci_channel`."""

    url: str
    sha256: str
    size: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": "package", "wanted": [self.url, self.sha256, self.size]}


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
