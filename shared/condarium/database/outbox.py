"""Events are written in the transaction that causes them, and read back by the relay and by event streams."""

import uuid
from collections.abc import Iterable, Sequence
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
#: of the transaction lock under which positions are given
NUMBERING_LOCK = RELAY_LOCK + 1
# The two inner steps are materialized so that positions are drawn in the order of the rows.
_NUMBER = text(
    """
    with waiting as materialized (
        select id from outbox where seq is null order by id limit :limit for update
    ), numbered as materialized (
        select id, nextval('outbox_seq') as seq from waiting order by id
    ), written as (
        update outbox set seq = numbered.seq from numbered where outbox.id = numbered.id returning outbox.seq
    )
    select count(*), max(seq) from written
    """
)


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
    row = _row(event, source)
    session.add(row)
    session.flush()
    session.execute(text(f"notify {NEW_CHANNEL}"))
    return row.event_id


def add_all(session: Session, events: Iterable[Event], *, source: str) -> None:
    """As `add`, for many at a time."""
    session.add_all(_row(event, source) for event in events)
    session.flush()
    session.execute(text(f"notify {NEW_CHANNEL}"))


def _row(event: Event, source: str) -> Outbox:
    return Outbox(
        event_id=uuid.uuid4(),
        routing_key=event.routing_key(),
        source=source,
        namespace=event.namespace,
        environment=event.environment,
        build_id=getattr(event, "build", None),
        data=event.data(),
        internal=event.internal,
    )


def number(session: Session, *, limit: int = 500) -> int:
    """Gives committed events their positions; called by the active relay. Returns how many.

    The lock makes one numbering visible before the next one draws, even while two relays believe to be the active
    one: a stream that has read up to a position never misses a lower one.
    """
    session.execute(select(func.pg_advisory_xact_lock(NUMBERING_LOCK)))
    count, last = session.execute(_NUMBER, {"limit": limit}).one()
    if count:
        session.execute(select(func.pg_notify(NUMBERED_CHANNEL, str(last))))
    return int(count)


def unpublished(session: Session, *, limit: int = 100) -> list[Stored]:
    """Numbered events that the broker has not confirmed, in order."""
    return _read(session, Outbox.published_on.is_(None), limit=limit)


def published(session: Session, ids: Sequence[int]) -> list[float]:
    """Notes that the broker has confirmed these rows; returns how many seconds each took since it was written."""
    statement = (
        update(Outbox)
        .where(Outbox.id.in_(ids))
        .values(published_on=func.clock_timestamp())
        .returning(func.extract("epoch", Outbox.published_on - Outbox.created_on))
        .execution_options(synchronize_session=False)
    )
    return [float(age) for age in session.execute(statement).scalars()]


def lag(session: Session) -> tuple[int, float]:
    """Events that the broker has not confirmed: how many, and the age of the oldest in seconds."""
    oldest = func.extract("epoch", func.clock_timestamp() - func.min(Outbox.created_on))
    count, age = session.execute(select(func.count(), oldest).where(Outbox.published_on.is_(None))).one()
    return int(count), float(age or 0)


def after(session: Session, seq: int, *, where: ColumnElement[bool] | None = None, limit: int = 500) -> list[Stored]:
    """Events behind position `seq`, in order: what a stream replays."""
    found = Outbox.seq > seq
    return _read(session, found if where is None else found & where, limit=limit)


def first_seq(session: Session) -> int:
    """The lowest position that is still there: what lies before it was deleted when it was old; 1 before any event."""
    return session.execute(select(func.min(Outbox.seq))).scalar_one() or last_position(session) + 1


def last_position(session: Session) -> int:
    """The highest position that was ever given; 0 before the first event."""
    query = text("select case when is_called then last_value else 0 end from outbox_seq")
    return int(session.execute(query).scalar_one())


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
