"""How many rows there are, without counting them (docs/adr/0011)."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table

#: the `namespace_id` of changes to the sums of the whole installation
INSTALLATION = 0


class RowCount(Table):
    """A change of how many rows a namespace has; the sum of its changes is the count. Written by triggers alone."""

    __tablename__ = "row_counts"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: a namespace, deleted or not, or INSTALLATION; no foreign key: it would lock the namespace's row
    namespace_id: Mapped[int]
    #: namespaces that are not deleted; only of the installation
    namespaces: Mapped[int] = mapped_column(server_default="0")
    #: environments that are not deleted
    environments: Mapped[int] = mapped_column(server_default="0")
    #: builds, deleted ones too, as conda-store lists them
    builds: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (Index("ix_row_counts_namespace_id", "namespace_id"),)
