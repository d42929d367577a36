"""Attempts to build: builds, their locks per platform, their prefixes on stores, their logs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from condarium.database.tables.environments import Environment, Specification
from condarium.database.tables.locks import LockRow
from condarium.database.tables.schema import Created, Leased, Table


class Store(Created, Table):
    """A directory of prefixes, known by the UUID in its file `.condarium-store`."""

    __tablename__ = "stores"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(Uuid, unique=True)
    #: where the builders that registered it saw it
    directory: Mapped[str]


class Build(Created, Leased, Table):
    """One numbered attempt of an environment; claimable while QUEUED, or BUILDING with an expired lease."""

    __tablename__ = "builds"

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"))
    #: that of the environment, which never changes: lists of one namespace read an index in order
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    specification_id: Mapped[int] = mapped_column(ForeignKey("specifications.id"))
    #: counts from 1 in each environment, given under the environment's row lock
    generation: Mapped[int]
    #: `{sha256[:8]}-{unix time}-{id}-{name}`, conda-store's build key of version 2
    key: Mapped[str] = mapped_column(unique=True)
    #: the store it is linked into; null is the only one there is
    store_id: Mapped[int | None] = mapped_column(ForeignKey("stores.id"))
    status: Mapped[str] = mapped_column(server_default="QUEUED")
    #: the sentence for people: what failed, since when, when it is tried next
    status_info: Mapped[str | None]
    #: kebab-case word of a failure
    reason: Mapped[str | None]
    #: higher ones are claimed first
    priority: Mapped[int] = mapped_column(server_default="0")
    #: forgets nothing: the number of attempts before a person asked for a retry
    attempts_before: Mapped[int] = mapped_column(server_default="0")
    scheduled_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_on: Mapped[datetime | None]
    ended_on: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    #: bytes of the prefix
    size: Mapped[int] = mapped_column(server_default="0")
    prefix_id: Mapped[int | None] = mapped_column(ForeignKey("prefixes.id"))
    #: the settings that held when it was asked for, as the builder needs them (`policy.engine`)
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: seconds per phase
    timings: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    deleted_on: Mapped[datetime | None]

    environment: Mapped[Environment] = relationship(lazy="raise", foreign_keys=[environment_id])
    specification: Mapped[Specification] = relationship(lazy="raise")

    __table_args__ = (
        CheckConstraint("status in ('QUEUED', 'BUILDING', 'COMPLETED', 'FAILED', 'CANCELED')", name="status"),
        UniqueConstraint("environment_id", "generation"),
        Index("ix_builds_claimable", "priority", "id", postgresql_where=text("status in ('QUEUED', 'BUILDING')")),
        Index("ix_builds_specification_id", "specification_id"),
        Index("ix_builds_namespace_id_id", "namespace_id", "id"),
        Index("ix_builds_id_and_namespace_id", "id", postgresql_include=["namespace_id"]),
        Index("ix_builds_status_id", "status", "id"),
        Index("ix_builds_scheduled_on_id", "scheduled_on", "id"),
        Index("ix_builds_started_on_id", "started_on", "id"),
        Index("ix_builds_ended_on_id", "ended_on", "id"),
    )


class LockPlatform(Table):
    """Which lock a build has for which platform."""

    __tablename__ = "lock_platforms"

    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"), primary_key=True)
    platform: Mapped[str] = mapped_column(primary_key=True)
    lock_id: Mapped[int] = mapped_column(ForeignKey("locks.id"))

    lock: Mapped[LockRow] = relationship(lazy="raise")

    __table_args__ = (Index("ix_lock_platforms_lock_id", "lock_id"),)


class Prefix(Created, Table):
    """What is on disk where. A build of the same namespace, name and lock reuses it."""

    __tablename__ = "prefixes"

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    lock_hash: Mapped[str]
    name: Mapped[str]
    #: relative to the store's directory
    path: Mapped[str]
    #: bytes of its files, hard links counted once
    size: Mapped[int]
    #: of these the bytes that no other prefix can have in common with it (patched, compiled); null: not measured
    own_size: Mapped[int | None]
    deleted_on: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_prefixes_store_id_namespace_id_lock_hash_name",
            "store_id",
            "namespace_id",
            "lock_hash",
            "name",
            unique=True,
            postgresql_where=text("deleted_on is null"),
        ),
    )


class LogChunk(Table):
    """A piece of a build's log, written while it runs; joined into the LOGS artifact at the end."""

    __tablename__ = "log_chunks"

    id: Mapped[int] = mapped_column(primary_key=True)
    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"))
    #: the attempt that wrote it
    attempt: Mapped[int]
    #: counts from 0 in each attempt
    number: Mapped[int]
    text: Mapped[str]
    created_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (UniqueConstraint("build_id", "attempt", "number"),)
