"""What the indexed channels have. The watcher's child keeps it; repodata is the truth, all of this can be made anew.

Nothing here refers to a record from outside: half a million rows come and go with their channel. Names and versions
are compared as bytes (`C`), so that every index serves every order.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Leased, Table

_BYTEWISE = Text(collation="C")


class Channel(Created, Table):
    """A channel that the installation indexes, or has indexed and forgets."""

    __tablename__ = "channels"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: canonical URL
    url: Mapped[str] = mapped_column(_BYTEWISE, unique=True)
    #: false once it is no longer asked for: nobody sees it, and its rows are deleted
    is_indexed: Mapped[bool] = mapped_column(server_default="true")


class ChannelSync(Leased, Table):
    """A part of a channel that is read on its own; claimable when it is due, or SYNCING with an expired lease."""

    __tablename__ = "channel_syncs"

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    #: a subdir such as linux-64; or `channeldata.json`, which has the summaries
    part: Mapped[str]
    #: false once it is no longer asked for: its rows are deleted
    is_indexed: Mapped[bool] = mapped_column(server_default="true")
    #: WAITING (until `not_before`), SYNCING
    state: Mapped[str] = mapped_column(server_default="WAITING")
    #: what was read last: location, ETag, Last-Modified, sha256 of the bytes
    seen: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: how many records (or summaries) it has
    records: Mapped[int] = mapped_column(server_default="0")
    #: when the channel last answered, with something new or not
    checked_on: Mapped[datetime | None]
    #: when something in it last changed
    changed_on: Mapped[datetime | None]
    #: why it cannot be read now; null when it can
    error: Mapped[str | None]
    #: failures in a row, and when they began
    failures: Mapped[int] = mapped_column(server_default="0")
    failing_since: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('WAITING', 'SYNCING')", name="state"),
        UniqueConstraint("channel_id", "part"),
    )


class PackageName(Table):
    """A package of a channel, in any of its subdirs."""

    __tablename__ = "package_names"

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    #: in lower case
    name: Mapped[str] = mapped_column(_BYTEWISE)
    #: how many rows of `packages` it has: counts of lists are sums of these
    versions: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (UniqueConstraint("channel_id", "name"), Index("ix_package_names_name", "name"))


class Package(Table):
    """A version of a package of a channel: what conda-store lists."""

    __tablename__ = "packages"

    id: Mapped[int] = mapped_column(primary_key=True)
    name_id: Mapped[int]
    version: Mapped[str] = mapped_column(_BYTEWISE)
    #: `domain.version_order.sort_key` of the version
    version_key: Mapped[bytes] = mapped_column(LargeBinary)
    #: of its newest build
    license: Mapped[str | None]

    __table_args__ = (
        # The key follows from the version: this is one row for each version, and conda's order within a name.
        Index("uq_packages_name_id_version_key_version", "name_id", "version_key", "version", unique=True),
        Index("ix_packages_version_key_version", "version_key", "version"),
    )


class PackageRecord(Table):
    """A record of repodata. It never changes: a patched record is another one."""

    __tablename__ = "package_records"

    sync_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: of everything below, 16 bytes: what is still the same is not touched
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    package_id: Mapped[int]
    file_name: Mapped[str]
    build: Mapped[str] = mapped_column(_BYTEWISE)
    build_number: Mapped[int]
    license: Mapped[str | None]
    #: bytes of the archive
    size: Mapped[int]
    #: milliseconds since 1970
    timestamp: Mapped[int]
    sha256: Mapped[str | None]
    depends: Mapped[list[str]] = mapped_column(ARRAY(Text))
    constrains: Mapped[list[str]] = mapped_column(ARRAY(Text))

    __table_args__ = (Index("ix_package_records_package_id_build", "package_id", "build"),)


class PackageSummary(Table):
    """What a channel says about a package of any subdir, out of its channeldata.json."""

    __tablename__ = "package_summaries"

    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(_BYTEWISE, primary_key=True)
    summary: Mapped[str]


class PackageShard(Table):
    """Which shard of a subdir's repodata was taken in for a name: only others have to be fetched."""

    __tablename__ = "package_shards"

    sync_id: Mapped[int] = mapped_column(ForeignKey("channel_syncs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(_BYTEWISE, primary_key=True)
    #: sha256 of the shard as served
    digest: Mapped[bytes] = mapped_column(LargeBinary)
