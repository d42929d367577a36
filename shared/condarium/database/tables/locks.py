"""Locks, addressed by their hash, and what is in them."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Table


class LockRow(Created, Table):
    """One platform's lock; builds that solve to the same packages share it."""

    __tablename__ = "locks"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: sha256 of the canonical JSON
    sha256: Mapped[str] = mapped_column(unique=True)
    platform: Mapped[str]
    #: the lock itself (domain/lock.py)
    content: Mapped[dict[str, Any]]


class LockPackage(Table):
    """A package of a lock, for lists and searches."""

    __tablename__ = "lock_packages"

    id: Mapped[int] = mapped_column(primary_key=True)
    lock_id: Mapped[int] = mapped_column(ForeignKey("locks.id"))
    #: conda or pypi
    kind: Mapped[str]
    name: Mapped[str]
    version: Mapped[str]
    build: Mapped[str]
    #: canonical URL of the channel; `pypi` for wheels, as conda lists them
    channel: Mapped[str]
    license: Mapped[str | None]
    #: bytes of the archive
    size: Mapped[int]

    __table_args__ = (
        Index("ix_lock_packages_lock_id_name", "lock_id", "name"),
        Index("ix_lock_packages_name", "name"),
    )
