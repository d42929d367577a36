"""The mark on what is about to go, and how whoever uses it takes it off (docs/adr/0022).

CONDEMNED -> (grace) -> DELETING: the rows that named it go in that transaction -> its bytes go -> GONE.
Whoever finds a thing made takes a CONDEMNED mark off; whoever names bytes in a row calls `hold` in the transaction
that does, so that the two cannot miss each other: they meet at the row of the mark.
"""

from collections.abc import Callable, Iterable

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.errors import WorldFault

BLOB, IMAGES, ARCHIVES = "blob", "images", "archives"


class Deleting(WorldFault):
    """The bytes are being deleted right now; a moment later they can be stored again."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is being deleted as garbage just now; it is made again", retry_after=0.5)


# The rows are locked in the order of their keys: two that hold the same ones wait for each other, and do not lock up.
_CLEAR = text(
    """
    with mine as (
        select kind, key from condemned where kind = :kind and key = any(:keys) and state = 'CONDEMNED'
        order by key for update
    )
    delete from condemned using mine where (condemned.kind, condemned.key) = (mine.kind, mine.key)
        and condemned.state = 'CONDEMNED'
    """
)
_HOLD = text("select key, state from condemned where kind = 'blob' and key = any(:keys) order by key for update")
_FORGET = text("delete from condemned where kind = 'blob' and key = any(:keys)")


def clear(session: Session, kind: str, keys: Iterable[str]) -> None:
    """They are used: whoever has found them made. What is being deleted already is found no more."""
    session.execute(_CLEAR, {"kind": kind, "keys": list(keys)})


def clear_of_pieces(session: Session, keys: Iterable[str]) -> None:
    """The bytes of these pieces are used."""
    session.execute(_CLEAR_PIECES, {"keys": list(keys)})


_CLEAR_PIECES = text(
    """
    with mine as (
        select condemned.key from condemned join pieces on condemned.key = 'blobs/sha256/' || pieces.digest
        where condemned.kind = 'blob' and condemned.state = 'CONDEMNED' and pieces.key = any(:keys)
        order by condemned.key for update of condemned
    )
    delete from condemned using mine
    where condemned.kind = 'blob' and condemned.state = 'CONDEMNED' and condemned.key = mine.key
    """
)


def clear_of_lock(session: Session, kind: str, lock_hash: str) -> None:
    """The images or archives of a lock are used."""
    session.execute(
        text(
            "delete from condemned where kind = :kind and state = 'CONDEMNED' and key = "
            "(select id::text from locks where sha256 = :sha256)"
        ),
        {"kind": kind, "sha256": lock_hash},
    )


def hold(session: Session, keys: Iterable[str]) -> frozenset[str]:
    """Keys of storage whose bytes were put, and are named in this transaction. Those it returns were deleted once:
    whether the bytes are there must be looked at before the transaction ends, which `check` does.

    Raises Deleting.
    """
    wanted = list(keys)
    found = session.execute(_HOLD, {"keys": wanted}).all()
    for key, state in found:
        if state == "DELETING":
            raise Deleting(key)
    if found:
        session.execute(_FORGET, {"keys": wanted})
    doubtful = frozenset(key for key, state in found if state == "GONE")
    session.info.setdefault(_DOUBTFUL, set()).update(doubtful)
    return doubtful


def check(session: Session, is_there: Callable[[str], bool]) -> None:
    """Before a transaction ends that has held keys. Raises Deleting for bytes that were deleted after they were put."""
    for key in sorted(session.info.pop(_DOUBTFUL, ())):
        if not is_there(key):
            raise Deleting(key)


_DOUBTFUL = "condarium-doubtful-keys"
