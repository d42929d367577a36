"""Labels of builds."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Table


class BuildLabel(Created, Table):
    """A word that somebody put on a build (`git` = a commit); searched by, and a tag of its image."""

    __tablename__ = "build_labels"

    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]

    __table_args__ = (Index("ix_build_labels_key_value", "key", "value"),)
