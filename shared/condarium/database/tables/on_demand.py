"""Images by packages: when they were last pulled, and who had builds started (docs/adr/0018)."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class OnDemandPull(Table):
    """The last pull of a build of the namespace `dynamic`: what nobody pulls for `keep_on_demand_days` is swept."""

    __tablename__ = "on_demand_pulls"

    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True)
    #: to the hour: written at most once in one
    last_pulled_on: Mapped[datetime]


class OnDemandStart(Table):
    """A build that a pull started. Rows live as long as the hour that is counted."""

    __tablename__ = "on_demand_starts"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: `user:` and the principal's name, or `address:` and the address of whoever has none
    subject: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (Index(None, "subject", "at"), Index(None, "at"))
