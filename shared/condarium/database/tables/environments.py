"""What people name: namespaces, environments, specifications."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from condarium.database.tables.schema import Created, Table


class Namespace(Created, Table):
    __tablename__ = "namespaces"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    #: free object of the administrator, as conda-store's clients set it
    metadata_: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: soft delete; the name is free again at once
    deleted_on: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_namespaces_name", "name", unique=True, postgresql_where=text("deleted_on is null")),
        Index("ix_namespaces_deleted", "id", postgresql_where=text("deleted_on is not null")),
    )


class Environment(Created, Table):
    __tablename__ = "environments"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    #: the build that the name points to; the symlink is a rendering of it
    current_build_id: Mapped[int | None] = mapped_column(
        ForeignKey("builds.id", use_alter=True, name="fk_environments_current_build_id_builds")
    )
    #: the highest generation given to a build of this environment
    last_generation: Mapped[int] = mapped_column(server_default="0")
    #: only a build above this generation becomes current when it completes
    generation_floor: Mapped[int] = mapped_column(server_default="0")
    updated_on: Mapped[datetime | None]
    deleted_on: Mapped[datetime | None]

    namespace: Mapped[Namespace] = relationship(lazy="raise")

    __table_args__ = (
        Index(
            "uq_environments_namespace_id_name",
            "namespace_id",
            "name",
            unique=True,
            postgresql_where=text("deleted_on is null"),
        ),
        Index("ix_environments_name_id", "name", "id"),
    )


class Specification(Created, Table):
    __tablename__ = "specifications"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: sha256 of the canonical JSON
    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    #: as it was asked for, in the form of conda-store's wire
    spec: Mapped[dict[str, Any]]
    #: the canonical form, from which the builder works
    canonical: Mapped[dict[str, Any]]
