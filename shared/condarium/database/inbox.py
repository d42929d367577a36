"""Handling a message twice equals once."""

import uuid

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Inbox


def first_time(session: Session, *, consumer: str, event_id: uuid.UUID) -> bool:
    """Records the event in this transaction; False when this consumer has handled it before."""
    statement = (
        insert(Inbox).values(consumer=consumer, event_id=event_id).on_conflict_do_nothing().returning(Inbox.event_id)
    )
    return session.execute(statement).first() is not None


def forget(session: Session, *, older_than_days: int) -> int:
    """Deletes old records; an event that old is never delivered again. Returns how many."""
    result = session.execute(
        text("delete from inbox where handled_on < clock_timestamp() - make_interval(days => :days)"),
        {"days": older_than_days},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
