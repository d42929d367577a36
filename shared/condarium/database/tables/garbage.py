"""What keeps things, what is about to go, and who was asked to look (docs/adr/0022)."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Leased, Table


class Pin(Created, Table):
    """Somebody wants a build kept, whatever comes after it."""

    __tablename__ = "pins"

    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(server_default="")
    #: null is for ever
    expires_on: Mapped[datetime | None]


class Condemned(Table):
    """What nothing needs any more. It goes when the grace period is over, unless somebody uses it until then."""

    __tablename__ = "condemned"

    #: blob (a key of storage), images or archives (all those of a lock)
    kind: Mapped[str] = mapped_column(primary_key=True)
    #: the key of storage, or the id of the lock
    key: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(server_default="0")
    #: CONDEMNED; DELETING: its rows are gone, its bytes are going; GONE: both are
    state: Mapped[str] = mapped_column(server_default="CONDEMNED")
    condemned_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: when its bytes were gone
    gone_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('CONDEMNED', 'DELETING', 'GONE')", name="state"),
        Index("ix_condemned_state_condemned_on", "state", "condemned_on"),
    )


class LiveKey(Table):
    """Keys of storage that a row names, while a sweep looks at them; nothing else reads or writes it."""

    __tablename__ = "live_keys"

    key: Mapped[str] = mapped_column(primary_key=True)


class Sweep(Created, Table):
    """A look for garbage, or at what is damaged: asked for by a person, or due."""

    __tablename__ = "sweeps"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: gc or verify
    verb: Mapped[str]
    #: dry_run, until_free, grace_seconds; repair
    options: Mapped[dict[str, Any]] = mapped_column(server_default="{}")

    __table_args__ = (CheckConstraint("verb in ('gc', 'verify')", name="verb"),)


class SweepPart(Leased, Table):
    """What one service does of a sweep."""

    __tablename__ = "sweep_parts"

    id: Mapped[int] = mapped_column(primary_key=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"))
    #: storage (by a packager) or store (by a builder)
    part: Mapped[str]
    #: REQUESTED, RUNNING, DONE, FAILED
    state: Mapped[str] = mapped_column(server_default="REQUESTED")
    #: what was found and done, by kind
    report: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: why it failed
    message: Mapped[str | None]
    ended_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('REQUESTED', 'RUNNING', 'DONE', 'FAILED')", name="state"),
        UniqueConstraint("sweep_id", "part"),
        Index("ix_sweep_parts_claimable", "part", "id", postgresql_where=text("state in ('REQUESTED', 'RUNNING')")),
    )
