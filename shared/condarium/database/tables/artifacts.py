"""What is served: artifacts of builds, and the pieces, images and archives they are made of."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Leased, Table


class BuildArtifact(Created, Leased, Table):
    """Something asked for of a build; claimable while REQUESTED, or MAKING with an expired lease."""

    __tablename__ = "build_artifacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    build_id: Mapped[int] = mapped_column(ForeignKey("builds.id"))
    #: conda-store's word: LOCKFILE, YAML, LOGS, CONDA_PACK, DOCKER_MANIFEST, and ours beside them
    artifact_type: Mapped[str]
    #: REQUESTED, MAKING, READY, FAILED
    state: Mapped[str] = mapped_column(server_default="REQUESTED")
    #: why it failed, or what is tried again and when
    reason: Mapped[str | None]
    #: where storage keeps it; null for what is put together when it is served
    key: Mapped[str | None]
    #: sha256 of what is served; of the manifest for an image
    digest: Mapped[str | None]
    #: bytes of what is served
    size: Mapped[int | None]
    #: higher ones are claimed first: what somebody waits for
    priority: Mapped[int] = mapped_column(server_default="0")
    ready_on: Mapped[datetime | None]
    #: when it was last claimed: what was condemned later than that, its maker may have found and be about to name
    claimed_on: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')", name="state"),
        UniqueConstraint("build_id", "artifact_type"),
        Index(
            "ix_build_artifacts_claimable", "priority", "id", postgresql_where=text("state in ('REQUESTED', 'MAKING')")
        ),
        Index("ix_build_artifacts_digest", "digest"),
        Index(
            "ix_build_artifacts_artifact_type_build_id",
            "artifact_type",
            "build_id",
            postgresql_where=text("state = 'READY'"),
        ),
    )


class Piece(Table):
    """A layer or a member: a rendering of one package or of a fixed group, made once in the whole installation."""

    __tablename__ = "pieces"

    #: hash of everything that decides its bytes (conda/pieces/)
    key: Mapped[str] = mapped_column(primary_key=True)
    #: layer or member
    kind: Mapped[str]
    #: sha256 in hex of the stored bytes, which lie at `blobs/sha256/<digest>`
    digest: Mapped[str]
    #: bytes as stored
    size: Mapped[int]
    #: what the rendering needs to know besides: diff_id, raw size, prefix records, link scripts
    details: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    #: of a layer: a number of 8 bytes for each path in it (`LayerResult.paths`), so that clobbered ones are seen
    paths: Mapped[bytes] = mapped_column(LargeBinary, server_default="")
    created_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    #: when it was last found made, to the hour
    used_on: Mapped[datetime | None]

    __table_args__ = (Index("ix_pieces_digest", "digest"),)


class Interpreter(Table):
    """Whether a python package runs on the packagers' machines: .pyc files are made by the environment's own."""

    __tablename__ = "interpreters"

    #: of the package
    sha256: Mapped[str] = mapped_column(primary_key=True)
    #: of the packager's machine
    platform: Mapped[str] = mapped_column(primary_key=True)
    #: what is in the names of its .pyc files, as cpython-311; null where it does not run
    tag: Mapped[str | None]
    #: why it does not run
    refusal: Mapped[str | None]
    created_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class BaseImage(Created, Table):
    """What images stand on; stored once, changed only by an administrator."""

    __tablename__ = "base_images"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: sha256 over its layers and config
    digest: Mapped[str]
    platform: Mapped[str]
    #: [{digest, diff_id, size, media_type}]
    layers: Mapped[list[Any]]
    #: the parts of the OCI config that images take over: Env, User, WorkingDir; digest and source of its manifest
    config: Mapped[dict[str, Any]]
    #: what the setting image_base calls it
    name: Mapped[str | None]
    is_default: Mapped[bool] = mapped_column(server_default="false")
    #: an administrator made it the default one: no packager's start changes that
    is_chosen: Mapped[bool] = mapped_column(server_default="false")

    __table_args__ = (
        UniqueConstraint("digest", "platform"),
        Index("uq_base_images_default", "platform", unique=True, postgresql_where=text("is_default")),
        Index("uq_base_images_name", "platform", "name", unique=True, postgresql_where=text("name is not null")),
    )


class Image(Created, Table):
    """A manifest: f(lock, base, layer format, plan version), once per media type."""

    __tablename__ = "images"

    #: sha256 in hex of `manifest`
    digest: Mapped[str] = mapped_column(primary_key=True)
    lock_id: Mapped[int] = mapped_column(ForeignKey("locks.id"))
    #: hash of everything besides the lock that decides the bytes
    plan: Mapped[str]
    media_type: Mapped[str]
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    config_digest: Mapped[str]
    #: bytes of all layers
    size: Mapped[int]

    __table_args__ = (UniqueConstraint("lock_id", "plan", "media_type"),)


class ImageBlob(Table):
    """Which blobs an image names: a blob is served only under a repository whose images name it."""

    __tablename__ = "image_blobs"

    image_digest: Mapped[str] = mapped_column(ForeignKey("images.digest"), primary_key=True)
    blob_digest: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    size: Mapped[int]

    __table_args__ = (Index("ix_image_blobs_blob_digest", "blob_digest"),)


class Archive(Created, Table):
    """A tarball as an ordered list of members; nothing is copied to make it."""

    __tablename__ = "archives"

    id: Mapped[int] = mapped_column(primary_key=True)
    lock_id: Mapped[int] = mapped_column(ForeignKey("locks.id"))
    #: gz, zst or sh (an installer)
    codec: Mapped[str]
    #: version of the member format
    format: Mapped[str]
    #: [[sha256 hex, bytes], ...] in the order they are sent
    parts: Mapped[list[Any]]
    #: bytes of the whole
    size: Mapped[int]

    __table_args__ = (UniqueConstraint("lock_id", "codec", "format"),)
