"""What refers to an image: bills of materials, lockfiles, logs, attestations, and the keys that sign."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Leased, Table


class SigningKey(Created, Table):
    """A key pair of the installation; the private half is sealed, see `domain.sealing`."""

    __tablename__ = "signing_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: sha256 in hex of the public key's DER (SubjectPublicKeyInfo)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    #: PEM
    public_key: Mapped[str]
    #: of the key that the private half is sealed with
    key_id: Mapped[str]
    sealed: Mapped[str]
    #: ACTIVE signs; RETIRED has signed, and its signatures stay valid
    state: Mapped[str] = mapped_column(server_default="ACTIVE")
    retired_on: Mapped[datetime | None]
    retired_by: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("state in ('ACTIVE', 'RETIRED')", name="state"),
        Index("uq_signing_keys_active", "state", unique=True, postgresql_where=text("state = 'ACTIVE'")),
    )


class ReferrerSet(Created, Leased, Table):
    """The referrers of a build's images, to be made or made; claimable like an artifact, and not shown among them."""

    __tablename__ = "referrer_sets"

    id: Mapped[int] = mapped_column(primary_key=True)
    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"), unique=True)
    #: REQUESTED, MAKING, READY, FAILED
    state: Mapped[str] = mapped_column(server_default="REQUESTED")
    #: why it failed, or what is tried again and when
    reason: Mapped[str | None]
    #: of the key that signed last
    fingerprint: Mapped[str | None]
    made_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')", name="state"),
        Index("ix_referrer_sets_claimable", "id", postgresql_where=text("state in ('REQUESTED', 'MAKING')")),
    )


class ReferrerManifest(Created, Table):
    """The manifest of a referrer: one row, whatever the number of builds that it belongs to."""

    __tablename__ = "referrer_manifests"

    #: sha256 in hex of `manifest`
    digest: Mapped[str] = mapped_column(primary_key=True)
    #: sha256 in hex of the image's manifest or index that it is about
    subject: Mapped[str]
    media_type: Mapped[str]
    #: empty for what is found by its tag alone
    artifact_type: Mapped[str]
    annotations: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    manifest: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (Index("ix_referrer_manifests_subject", "subject"),)


class ReferrerBlob(Table):
    """What a referrer's manifest names; the bytes lie at `blobs/sha256/<digest>`."""

    __tablename__ = "referrer_blobs"

    manifest_digest: Mapped[str] = mapped_column(
        ForeignKey("referrer_manifests.digest", ondelete="CASCADE"), primary_key=True
    )
    blob_digest: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    size: Mapped[int]

    __table_args__ = (Index("ix_referrer_blobs_blob_digest", "blob_digest"),)


class Referrer(Created, Table):
    """That a referrer belongs to a build: it is served in the repository of that build's environment alone."""

    __tablename__ = "referrers"

    id: Mapped[int] = mapped_column(primary_key=True)
    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"))
    digest: Mapped[str] = mapped_column(ForeignKey("referrer_manifests.digest"))
    #: cosign's tag of it, `sha256-<hex>.sig` or `.att`; null for what is listed as a referrer
    tag: Mapped[str | None]

    __table_args__ = (UniqueConstraint("build_id", "digest"), Index("ix_referrers_digest", "digest"))
