"""What leaves this installation: images pushed to other registries, and packages served as a channel."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from condarium.database.tables.schema import Created, Leased, Table

_STATE = "state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')"
_OPEN = "state in ('REQUESTED', 'MAKING')"


class PackageCopy(Created, Leased, Table):
    """A conda package that a namespace's `oci://` channels serve; claimable while REQUESTED, or MAKING with an expired
    lease. One for each namespace: a namespace has to fetch with its own credentials what it shows to its readers."""

    __tablename__ = "package_copies"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    #: of the archive, in hex
    sha256: Mapped[str]
    #: canonical address of the archive
    url: Mapped[str]
    #: bytes of the archive as its lock states them; 0 where it does not
    size: Mapped[int]
    #: REQUESTED, MAKING, READY, FAILED
    state: Mapped[str] = mapped_column(server_default="REQUESTED")
    #: why it failed, or what is tried again and when
    reason: Mapped[str | None]
    #: {archive, info, index}: [sha256 in hex, bytes] of blobs in storage, once it is READY
    parts: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: when it was last asked for, within the hour
    used_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: when it became FAILED
    failed_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(_STATE, name="state"),
        UniqueConstraint("namespace_id", "sha256"),
        Index("ix_package_copies_sha256", "sha256"),
        Index("ix_package_copies_claimable", "id", postgresql_where=text(_OPEN)),
    )


class ChannelIndex(Table):
    """The repodata of one subdir of an environment's `oci://` channel, in one encoding: a rendering of a build's locks,
    kept so that its digest can be asked for."""

    __tablename__ = "channel_indexes"

    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"), primary_key=True)
    subdir: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str] = mapped_column(primary_key=True)
    #: sha256 in hex of `body`
    digest: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (Index("ix_channel_indexes_digest", "digest"),)


class PublishRule(Created, Table):
    """Where the images of a namespace are pushed to as soon as they are there."""

    __tablename__ = "publish_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    name: Mapped[str]
    #: scheme and host of the other registry
    registry_url: Mapped[str]
    #: its repository, with {namespace} and {environment}
    repository: Mapped[str]
    #: shell patterns; an environment is published when one of them fits its name
    environments: Mapped[list[str]] = mapped_column(ARRAY(Text))
    #: words of `domain.publishing.Tag`
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    #: whether SBOMs, signatures and the like follow their image
    referrers: Mapped[bool] = mapped_column(server_default="true")
    updated_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_by: Mapped[str] = mapped_column(server_default="system")

    __table_args__ = (UniqueConstraint("namespace_id", "name"),)


class Publication(Created, Leased, Table):
    """An image that a rule sends; claimable once the image is there, and again when the lease has ended."""

    __tablename__ = "publications"

    id: Mapped[int] = mapped_column(primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("publish_rules.id", ondelete="CASCADE"))
    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"))
    #: REQUESTED, MAKING (it is being pushed), READY, FAILED
    state: Mapped[str] = mapped_column(server_default="REQUESTED")
    #: why it failed, or what is tried again and when
    reason: Mapped[str | None]
    #: what the rule made of the names, at the last attempt
    repository: Mapped[str | None]
    #: sha256 in hex of the manifest or index that was pushed
    digest: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    #: of the last attempt that succeeded: blobs and bytes sent, mounted, and found there
    counts: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: asked for once more while it was being pushed
    is_stale: Mapped[bool] = mapped_column(server_default="false")
    ready_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(_STATE, name="state"),
        UniqueConstraint("rule_id", "build_id"),
        Index("ix_publications_build_id", "build_id"),
        Index("ix_publications_claimable", "id", postgresql_where=text(_OPEN)),
    )


class PushedBlob(Table):
    """Which repository of another registry got a blob from us: the next repository there mounts it."""

    __tablename__ = "pushed_blobs"

    registry_url: Mapped[str] = mapped_column(primary_key=True)
    #: sha256 in hex
    digest: Mapped[str] = mapped_column(primary_key=True)
    repository: Mapped[str] = mapped_column(primary_key=True)
    #: whose credentials put it there: a namespace mounts from its own repositories only
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"), primary_key=True, autoincrement=False)
    pushed_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
