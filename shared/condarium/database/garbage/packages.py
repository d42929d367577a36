"""Which packages the locks of kept builds hold: what caches had better keep."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def kept(session: Session) -> set[str]:
    """sha256 of every conda package of a lock that a kept build has; after `roots.gather` in the same transaction."""
    rows = session.execute(
        text(
            "select distinct record->>'sha256' from locks, jsonb_array_elements(locks.content->'conda') record "
            "where locks.id in (select lock_id from kept_locks)"
        )
    )
    return {row[0] for row in rows if row[0]}
