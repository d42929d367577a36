"""Events are written in the transaction that causes them, and read back by the relay and by event streams."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.orm import Session

from condarium.database.tables import Outbox
from condarium.events import Event, envelope

#: woken when an event row is committed
NEW_CHANNEL = "condarium_outbox"
#: woken when events have got their numbers; the payload is the highest
NUMBERED_CHANNEL = "condarium_events"
#: of the session lock that makes one relay the active one
RELAY_LOCK = 0x636F6E6461


@dataclass(frozen=True)
class Stored:
    """An event as it left: `seq` is its position in the stream."""

    id: int
    seq: int
    routing_key: str
    namespace: str
    environment: str
    build_id: int | None
    internal: bool
    event_id: uuid.UUID
    body: dict[str, Any]


def add(session: Session, event: Event, *, source: str) -> uuid.UUID:
    """Writes the event; it is published after this transaction commits, and never if it does not."""
    event_id = uuid.uuid4()
    session.add(
        Outbox(
            event_id=event_id,
            routing_key=event.routing_key(),
            source=source,
            namespace=event.namespace,
            environment=event.environment,
            build_id=getattr(event, "build", None),
            data=event.data(),
            internal=event.internal,
        )
    )
    session.flush()
    session.execute(text(f"notify {NEW_CHANNEL}"))
    return event_id


def number(session: Session, *, limit: int = 500) -> int:
    """Gives committed events their positions; called by the active relay alone. Returns how many."""
    rows = (
        session.execute(
            select(Outbox.id)
            .where(Outbox.seq.is_(None))
            .order_by(Outbox.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        .scalars()
        .all()
    )
    last = None
    for row in rows:
        last = session.execute(
            update(Outbox)
            .where(Outbox.id == row)
            .values(seq=text("nextval('outbox_seq')"))
            .returning(Outbox.seq)
            .execution_options(synchronize_session=False)
        ).scalar_one()
    if last is not None:
        session.execute(select(func.pg_notify(NUMBERED_CHANNEL, str(last))))
    return len(rows)


def unpublished(session: Session, *, limit: int = 100) -> list[Stored]:
    """Numbered events that the broker has not confirmed, in order."""
    return _read(session, Outbox.published_on.is_(None), limit=limit)


def published(session: Session, ids: Sequence[int]) -> None:
    session.execute(
        update(Outbox)
        .where(Outbox.id.in_(ids))
        .values(published_on=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


def after(session: Session, seq: int, *, where: ColumnElement[bool] | None = None, limit: int = 500) -> list[Stored]:
    """Events behind position `seq`, in order: what a stream replays."""
    found = Outbox.seq > seq
    return _read(session, found if where is None else found & where, limit=limit)


def last_seq(session: Session) -> int:
    """The highest position given so far; 0 before the first event."""
    return session.execute(select(func.max(Outbox.seq))).scalar_one() or 0


def _read(session: Session, where: ColumnElement[bool], *, limit: int) -> list[Stored]:
    rows = session.execute(
        select(Outbox).where(Outbox.seq.is_not(None), where).order_by(Outbox.seq).limit(limit)
    ).scalars()
    return [_stored(row) for row in rows]


def _stored(row: Outbox) -> Stored:
    assert row.seq is not None
    body = envelope(
        event_id=row.event_id,
        routing_key=row.routing_key,
        source=row.source,
        subject=f"{row.namespace}/{row.environment}",
        time=row.created_on,
        data=row.data,
    )
    return Stored(
        id=row.id,
        seq=row.seq,
        routing_key=row.routing_key,
        namespace=row.namespace,
        environment=row.environment,
        build_id=row.build_id,
        internal=row.internal,
        event_id=row.event_id,
        body=body,
    )
