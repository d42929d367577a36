"""Questions to the solver that no build stands behind, and their answers for as long as they are fresh."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Leased, Table


class Solve(Created, Leased, Table):
    """Claimable while QUEUED and wanted, or SOLVING with an expired lease. Whoever asks the same shares the row."""

    __tablename__ = "solves"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: sha256 of everything that decides the question: namespace, specification without its names, default channels
    question: Mapped[str] = mapped_column(unique=True)
    #: whose settings and credentials hold
    namespace: Mapped[str]
    #: as in `specifications.spec`
    spec: Mapped[dict[str, Any]]
    #: as in `builds.settings`
    settings: Mapped[dict[str, Any]]
    #: QUEUED, SOLVING, SOLVED, FAILED
    state: Mapped[str] = mapped_column(server_default="QUEUED")
    #: nobody waits any more after this moment: then nobody need begin
    wanted_until: Mapped[datetime]
    #: kebab-case word of a failure
    reason: Mapped[str | None]
    #: what the solver said
    message: Mapped[str | None]
    #: {platform: lock} of the last answer, kept while it is asked again
    locks: Mapped[dict[str, Any] | None]
    #: what the channels' repodata looked like before that answer was found; null when they do not say
    repodata: Mapped[str | None]
    #: when that answer was found, or found to be still right
    answered_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('QUEUED', 'SOLVING', 'SOLVED', 'FAILED')", name="state"),
        Index("ix_solves_claimable", "id", postgresql_where=text("state in ('QUEUED', 'SOLVING')")),
        Index("ix_solves_wanted_until", "wanted_until"),
    )
