"""Layers and members by the key of everything that decides their bytes; each is made once in the installation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.connection import Database
from condarium.database.garbage import marks
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.database.tables import Piece
from condarium.errors import Unavailable


@dataclass(frozen=True)
class Known:
    """A stored piece: `digest` of its bytes in hex, `size` in bytes, `details` what its rendering needs besides."""

    key: str
    digest: str
    size: int
    details: Mapping[str, Any]


def known(session: Session, keys: Iterable[str]) -> dict[str, Known]:
    """Those of `keys` that are made, by key. They are used now: garbage collection leaves them alone."""
    keys = list(keys)
    marks.clear_of_pieces(session, keys)
    session.execute(_USE, {"keys": keys})
    rows = session.execute(select(Piece.key, Piece.digest, Piece.size, Piece.details).where(Piece.key.in_(list(keys))))
    return {row.key: Known(row.key, row.digest, row.size, row.details) for row in rows}


# At most one writing of each row in an hour; what another transaction marks is marked.
_USE = text(
    """
    update pieces set used_on = clock_timestamp() where key in (
        select key from pieces
        where key = any(:keys) and coalesce(used_on, created_on) < clock_timestamp() - interval '1 hour'
        for update skip locked
    )
    """
)


def paths(session: Session, keys: Iterable[str]) -> dict[str, bytes]:
    """What `LayerResult.paths` says of the layers that are made, by key."""
    rows = session.execute(select(Piece.key, Piece.paths).where(Piece.key.in_(list(keys))))
    return {row.key: row.paths for row in rows}


def record(session: Session, piece: Known, *, kind: str, paths: bytes = b"") -> None:
    """`kind` is layer or member, `paths` as in `LayerResult`. Recording twice is harmless: the same key means the same
    bytes.

    Raises marks.Deleting; see `marks.hold` for what the caller looks at then.
    """
    marks.hold(session, [f"{CONTENT_PREFIX}{piece.digest}"])
    session.execute(
        insert(Piece)
        .values(
            key=piece.key, kind=kind, digest=piece.digest, size=piece.size, details=dict(piece.details), paths=paths
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )


class Makers:
    """Who makes which piece now: session locks on a connection of their own, gone when their process dies.

    For one thread; nothing is held while it has no work.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def take(self, key: str) -> bool:
        """Whether nobody else makes the piece; then it is ours until `drop` or `close`. Raises Unavailable."""
        # 64 of the key's 256 bits: a clash would only make two pieces one after the other
        found = self._ask("select pg_try_advisory_lock(%s)", _number(key))
        return bool(found)

    def drop(self, key: str) -> None:
        self._ask("select pg_advisory_unlock(%s)", _number(key))

    def close(self) -> None:
        """Gives up everything that is held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, query: str, number: int) -> Any:
        if self._connection is None:
            self._connection = self._database.listen()
        try:
            row = self._connection.execute(query, (number,)).fetchone()
        except psycopg.OperationalError as error:
            self.close()
            raise Unavailable("the database cannot be reached; try again in a moment") from error
        return row[0] if row else None


def _number(key: str) -> int:
    return int.from_bytes(bytes.fromhex(key[:16]), "big", signed=True)
