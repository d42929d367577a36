"""Logs as numbered chunks: writing one never reads another."""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import LogChunk

#: woken when a chunk is committed; the payload is the build's id
CHANNEL = "condarium_logs"


@dataclass(frozen=True)
class Chunk:
    """`id` grows with time; a reader asks for what is behind the last one it has."""

    id: int
    attempt: int
    text: str


def append(session: Session, *, build_id: int, attempt: int, number: int, text: str) -> None:
    """Writes chunk `number` (from 0) of this attempt and wakes those who follow; once, however often it is called."""
    # Postgres text holds no NUL.
    chunk = {"build_id": build_id, "attempt": attempt, "number": number, "text": text.replace("\0", "\ufffd")}
    session.execute(insert(LogChunk).values(chunk).on_conflict_do_nothing())
    session.execute(select(func.pg_notify(CHANNEL, str(build_id))))


def chunks(session: Session, build_id: int, *, after: int = 0, limit: int = 1000) -> list[Chunk]:
    """The chunks behind chunk id `after`, in order."""
    rows = session.execute(
        select(LogChunk.id, LogChunk.attempt, LogChunk.text)
        .where(LogChunk.build_id == build_id, LogChunk.id > after)
        .order_by(LogChunk.id)
        .limit(limit)
    )
    return [Chunk(row.id, row.attempt, row.text) for row in rows]


def size(session: Session, build_id: int) -> int:
    """Bytes of the whole log."""
    query = select(func.coalesce(func.sum(func.octet_length(LogChunk.text)), 0)).where(LogChunk.build_id == build_id)
    return int(session.execute(query).scalar_one())


def forget(session: Session, build_id: int) -> None:
    """Deletes the chunks, once they are joined into an artifact."""
    session.execute(text("delete from log_chunks where build_id = :id"), {"id": build_id})
