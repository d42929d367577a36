"""What namespaces use (docs/adr/0013): changes that triggers write, and sums that are made of them aside."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class UsageChange(Table):
    """A change of how many builds a namespace has. Written by triggers alone, folded by `usage.measure`.

    A row of zeros says that the bytes of the namespace have changed.
    """

    __tablename__ = "usage_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: no foreign key: it would lock the namespace's row
    namespace_id: Mapped[int]
    #: builds that are not deleted
    builds: Mapped[int] = mapped_column(server_default="0")
    #: builds that are queued or running, deleted or not
    active: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (Index("ix_usage_changes_namespace_id", "namespace_id"),)


class NamespaceUsage(Table):
    """The sums of all changes that were folded, and bytes as they were measured last."""

    __tablename__ = "namespace_usage"

    #: no foreign key, as above
    namespace_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    builds: Mapped[int] = mapped_column(server_default="0")
    active: Mapped[int] = mapped_column(server_default="0")
    #: bytes that no other namespace uses
    exclusive: Mapped[int] = mapped_column(server_default="0")
    #: bytes that other namespaces use too
    shared: Mapped[int] = mapped_column(server_default="0")
    measured_on: Mapped[datetime | None]


class NamespaceHolding(Table):
    """Bytes that a namespace uses, once for each key however many of its builds share them."""

    __tablename__ = "namespace_holdings"

    namespace_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: `package:<sha256>`, `wheel:<name-version>`, `prefix:<id>`, `blob:<sha256>`, `texts:<namespace id>`
    key: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int]

    __table_args__ = (Index("ix_namespace_holdings_key", "key"),)


class LockLink(Table):
    """Bytes that a prefix of this lock has in common with all prefixes that hold the same package, by hard links."""

    __tablename__ = "lock_links"

    lock_id: Mapped[int] = mapped_column(ForeignKey("locks.id"), primary_key=True)
    #: `package:<sha256>` or `wheel:<name-version>`
    key: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int]
