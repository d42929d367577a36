"""A tarball as an ordered list of stored members: its length, its identity, and which bytes of which member answer a
range.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from condarium.domain.canonical import canonical_hash

#: where storage has the tarballs and installers that were put together as one object
JOINED = "archive/"


def joined_prefix(lock_hash: str) -> str:
    """What the keys of all joined objects of a lock begin with; the members' identity and a suffix follow."""
    return f"{JOINED}{lock_hash}-"


@dataclass(frozen=True)
class StoredMember:
    """A member in the store under its sha256 in hex; `size` in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Slice:
    """Bytes `start` to `end` (exclusive) of one member."""

    digest: str
    start: int
    end: int


@dataclass(frozen=True)
class MemberList:
    """The members of one tarball in order; the last one ends the archive."""

    members: tuple[StoredMember, ...]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> "MemberList":
        return cls(tuple(StoredMember(str(item["digest"]), int(item["size"])) for item in data))

    @classmethod
    def of(cls, parts: Iterable[tuple[str, int]]) -> "MemberList":
        """Of (sha256 in hex, bytes)."""
        return cls(tuple(StoredMember(digest, size) for digest, size in parts))

    def to_json(self) -> list[dict[str, Any]]:
        return [{"digest": member.digest, "size": member.size} for member in self.members]

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each member begins, and at the end the total size: one more number than there are members."""
        return tuple(accumulate((member.size for member in self.members), initial=0))

    @property
    def size(self) -> int:
        """The tarball's length in bytes."""
        return self.offsets[-1]

    @cached_property
    def identity(self) -> str:
        """sha256 in hex that is equal exactly for equal tarballs: an ETag without reading a byte."""
        return canonical_hash(self.to_json())

    def slices(self, start: int = 0, end: int | None = None) -> Iterator[Slice]:
        """What to send for bytes `start` to `end` (exclusive; default: to the end). Raises ValueError outside the
        tarball.
        """
        end = self.size if end is None else end
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"bytes {start} to {end} are not within a tarball of {self.size} bytes")
        for offset, member in zip(self.offsets, self.members, strict=False):
            first, last = max(start - offset, 0), min(end - offset, member.size)
            if first < last:
                yield Slice(member.digest, first, last)
