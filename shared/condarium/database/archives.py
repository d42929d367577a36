"""Tarballs: ordered lists of members, of which no byte is copied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.garbage import marks
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.database.tables import Archive, LockRow

Codec = Literal["gz", "zst", "sh"]


@dataclass(frozen=True)
class Tarball:
    """`parts` are (sha256 in hex, bytes) in the order they are sent; each lies at `blobs/sha256/<hex>`."""

    parts: tuple[tuple[str, int], ...]
    size: int


def find(session: Session, lock_hash: str, codec: Codec, *, format: str | None = None) -> Tarball | None:
    """The tarball of a lock; the newest where no member format is named. It is used now."""
    marks.clear_of_lock(session, marks.ARCHIVES, lock_hash)
    query = (
        select(Archive.parts, Archive.size)
        .join(LockRow, LockRow.id == Archive.lock_id)
        .where(LockRow.sha256 == lock_hash, Archive.codec == codec)
        .order_by(Archive.id.desc())
        .limit(1)
    )
    if format is not None:
        query = query.where(Archive.format == format)
    row = session.execute(query).first()
    return Tarball(tuple((digest, size) for digest, size in row.parts), row.size) if row else None


def store(session: Session, lock_hash: str, codec: Codec, *, format: str, parts: Sequence[tuple[str, int]]) -> Tarball:
    """Records the list. Recording twice is harmless: lock, codec and format decide it.

    Raises marks.Deleting; see `marks.hold` for what the caller looks at then.
    """
    marks.clear_of_lock(session, marks.ARCHIVES, lock_hash)
    marks.hold(session, {f"{CONTENT_PREFIX}{digest}" for digest, _ in parts})
    size = sum(part[1] for part in parts)
    lock_id = select(LockRow.id).where(LockRow.sha256 == lock_hash).scalar_subquery()
    session.execute(
        insert(Archive)
        .values(lock_id=lock_id, codec=codec, format=format, parts=[list(part) for part in parts], size=size)
        .on_conflict_do_nothing(index_elements=["lock_id", "codec", "format"])
    )
    return Tarball(tuple(parts), size)
