"""What all tables share: naming of constraints, times, the columns of a lease."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


class Created:
    """Audit columns: when, and the name of the principal."""

    created_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    created_by: Mapped[str] = mapped_column(server_default="system")


class Leased:
    """The columns that make a row claimable; see `leases`."""

    #: who works on it: host, process and slot
    owner: Mapped[str | None]
    #: counts claims from 1; with `owner` it is the fencing token
    attempt: Mapped[int] = mapped_column(server_default="0")
    #: after this moment anybody may claim the row again
    lease_until: Mapped[datetime | None]
    #: before this moment nobody claims it (backoff)
    not_before: Mapped[datetime | None]
