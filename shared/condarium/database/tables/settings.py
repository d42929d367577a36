"""Settings by level, and how they came to be what they are."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class SettingRow(Table):
    """One key at one level. Of a deleted namespace only those mean something that the next of its name is held to."""

    __tablename__ = "settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: null at the global level
    namespace_id: Mapped[int | None] = mapped_column(ForeignKey("namespaces.id"))
    #: empty at the levels above; the environment need not be there yet
    environment: Mapped[str] = mapped_column(server_default="")
    key: Mapped[str]
    #: checked and in its normal form (domain/settings/values.py); never JSON null
    value: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=False)
    changed_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: name of the principal
    changed_by: Mapped[str]

    __table_args__ = (
        Index("uq_settings_key", "key", unique=True, postgresql_where=text("namespace_id is null")),
        Index(
            "uq_settings_namespace_id_environment_key",
            "namespace_id",
            "environment",
            "key",
            unique=True,
            postgresql_where=text("namespace_id is not null"),
        ),
    )


class SettingChange(Table):
    """Who changed a setting, when, from what, to what; only added to."""

    __tablename__ = "setting_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: null at the global level
    namespace_id: Mapped[int | None] = mapped_column(ForeignKey("namespaces.id"))
    #: empty at the levels above
    environment: Mapped[str] = mapped_column(server_default="")
    key: Mapped[str]
    #: null where it was not set
    before: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=True)
    #: null where it was taken back
    after: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=True)
    changed_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: name of the principal
    changed_by: Mapped[str]

    __table_args__ = (Index("ix_setting_changes_namespace_id_environment", "namespace_id", "environment", "id"),)
