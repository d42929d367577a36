"""The outbox and the inbox: events and the transactions that cause or absorb them."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Sequence, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class Outbox(Table):
    """An event, written in the transaction that causes it; the relay numbers and publishes it."""

    __tablename__ = "outbox"

    #: taken before commit: gaps and disorder are normal, never used as a position
    id: Mapped[int] = mapped_column(primary_key=True)
    #: the position in the stream that subscribers see; given by the one active relay after commit
    seq: Mapped[int | None] = mapped_column(unique=True)
    event_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    #: event and version: `build.completed.v1`
    routing_key: Mapped[str]
    #: the service that wrote it
    source: Mapped[str]
    namespace: Mapped[str]
    environment: Mapped[str]
    build_id: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    #: published `mandatory`: one of our own services consumes it
    internal: Mapped[bool]
    created_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: when the broker confirmed it
    published_on: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_outbox_unnumbered", "id", postgresql_where=text("seq is null")),
        Index("ix_outbox_unpublished", "seq", postgresql_where=text("published_on is null")),
    )


#: the numbers of `Outbox.seq`; only the active relay draws from it
OUTBOX_SEQ = Sequence("outbox_seq", metadata=Table.metadata)


class Inbox(Table):
    """An event that a consumer has handled; written in the transaction that does the work."""

    __tablename__ = "inbox"

    consumer: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    handled_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
