"""Who did what, and when."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class Audit(Table):
    """One deed, or the sum of many alike; nothing is ever changed but the `count` and `last_on` of sums."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: when it happened; of a sum the first time
    happened_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: of a sum the last time
    last_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    principal: Mapped[str]
    #: a permission's name where there is one (`environment::update`), else a word of ours (`login`)
    action: Mapped[str]
    #: empty for what is about the installation
    namespace: Mapped[str] = mapped_column(server_default="")
    #: `namespace/environment` with `*` for all, or `sha256:...` of what was downloaded
    resource: Mapped[str]
    outcome: Mapped[str]
    #: of the client; null for deeds of services
    address: Mapped[str | None]
    #: how often
    count: Mapped[int] = mapped_column(server_default="1")
    #: more, without secrets
    details: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: what is summed in this row; null for a single deed
    sum_key: Mapped[str | None] = mapped_column(unique=True)

    __table_args__ = (
        CheckConstraint("outcome in ('done', 'denied', 'failed')", "outcome"),
        Index("ix_audit_last_on", "last_on"),
        Index("ix_audit_namespace_id", "namespace", "id"),
        Index("ix_audit_principal_id", "principal", "id"),
    )
