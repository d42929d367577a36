"""the first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "base_images",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("layers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_base_images")),
        sa.UniqueConstraint("digest", "platform", name=op.f("uq_base_images_digest_platform")),
    )
    op.create_index(
        "uq_base_images_default", "base_images", ["platform"], unique=True, postgresql_where=sa.text("is_default")
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column(
            "handled_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
    )
    op.create_table(
        "locks",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locks")),
        sa.UniqueConstraint("sha256", name=op.f("uq_locks_sha256")),
    )
    op.create_table(
        "namespaces",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metadata_", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("deleted_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespaces")),
    )
    op.create_index(
        "uq_namespaces_name", "namespaces", ["name"], unique=True, postgresql_where=sa.text("deleted_on is null")
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("routing_key", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("published_on", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
        sa.UniqueConstraint("seq", name=op.f("uq_outbox_seq")),
    )
    op.create_index("ix_outbox_unnumbered", "outbox", ["id"], unique=False, postgresql_where=sa.text("seq is null"))
    op.create_index(
        "ix_outbox_unpublished", "outbox", ["seq"], unique=False, postgresql_where=sa.text("published_on is null")
    )
    op.create_table(
        "pieces",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pieces")),
    )
    op.create_index("ix_pieces_digest", "pieces", ["digest"], unique=False)
    op.create_table(
        "specifications",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("canonical", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specifications")),
        sa.UniqueConstraint("sha256", name=op.f("uq_specifications_sha256")),
    )
    op.create_table(
        "stores",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stores")),
        sa.UniqueConstraint("uuid", name=op.f("uq_stores_uuid")),
    )
    op.create_table(
        "archives",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("lock_id", sa.BigInteger(), nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(["lock_id"], ["locks.id"], name=op.f("fk_archives_lock_id_locks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archives")),
        sa.UniqueConstraint("lock_id", "codec", "format", name=op.f("uq_archives_lock_id_codec_format")),
    )
    op.create_table(
        "environments",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("current_build_id", sa.BigInteger(), nullable=True),
        sa.Column("last_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("generation_floor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_environments_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environments")),
    )
    op.create_index(
        "uq_environments_namespace_id_name",
        "environments",
        ["namespace_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_on is null"),
    )
    op.create_table(
        "images",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("lock_id", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("config_digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(["lock_id"], ["locks.id"], name=op.f("fk_images_lock_id_locks")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_images")),
        sa.UniqueConstraint("lock_id", "plan", "media_type", name=op.f("uq_images_lock_id_plan_media_type")),
    )
    op.create_table(
        "lock_packages",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("lock_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("build", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("license", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lock_id"], ["locks.id"], name=op.f("fk_lock_packages_lock_id_locks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lock_packages")),
    )
    op.create_index("ix_lock_packages_lock_id_name", "lock_packages", ["lock_id", "name"], unique=False)
    op.create_index("ix_lock_packages_name", "lock_packages", ["name"], unique=False)
    op.create_table(
        "prefixes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("lock_hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("deleted_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_prefixes_namespace_id_namespaces")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_prefixes_store_id_stores")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prefixes")),
    )
    op.create_index(
        "uq_prefixes_store_id_namespace_id_lock_hash_name",
        "prefixes",
        ["store_id", "namespace_id", "lock_hash", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_on is null"),
    )
    op.create_table(
        "builds",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("specification_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default="QUEUED", nullable=False),
        sa.Column("status_info", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "scheduled_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("started_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("prefix_id", sa.BigInteger(), nullable=True),
        sa.Column("timings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("deleted_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('QUEUED', 'BUILDING', 'COMPLETED', 'FAILED', 'CANCELED')", name=op.f("ck_builds_status")
        ),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name=op.f("fk_builds_environment_id_environments")
        ),
        sa.ForeignKeyConstraint(["prefix_id"], ["prefixes.id"], name=op.f("fk_builds_prefix_id_prefixes")),
        sa.ForeignKeyConstraint(
            ["specification_id"], ["specifications.id"], name=op.f("fk_builds_specification_id_specifications")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_builds_store_id_stores")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_builds")),
        sa.UniqueConstraint("environment_id", "generation", name=op.f("uq_builds_environment_id_generation")),
        sa.UniqueConstraint("key", name=op.f("uq_builds_key")),
    )
    op.create_index(
        "ix_builds_claimable",
        "builds",
        ["priority", "id"],
        unique=False,
        postgresql_where=sa.text("status in ('QUEUED', 'BUILDING')"),
    )
    op.create_index("ix_builds_specification_id", "builds", ["specification_id"], unique=False)
    op.create_table(
        "image_blobs",
        sa.Column("image_digest", sa.Text(), nullable=False),
        sa.Column("blob_digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_digest"], ["images.digest"], name=op.f("fk_image_blobs_image_digest_images")),
        sa.PrimaryKeyConstraint("image_digest", "blob_digest", name=op.f("pk_image_blobs")),
    )
    op.create_index("ix_image_blobs_blob_digest", "image_blobs", ["blob_digest"], unique=False)
    op.create_table(
        "build_artifacts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("artifact_type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ready_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')", name=op.f("ck_build_artifacts_state")
        ),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_build_artifacts_build_id_builds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build_artifacts")),
        sa.UniqueConstraint("build_id", "artifact_type", name=op.f("uq_build_artifacts_build_id_artifact_type")),
    )
    op.create_index(
        "ix_build_artifacts_claimable",
        "build_artifacts",
        ["priority", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('REQUESTED', 'MAKING')"),
    )
    op.create_table(
        "lock_platforms",
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("lock_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_lock_platforms_build_id_builds")),
        sa.ForeignKeyConstraint(["lock_id"], ["locks.id"], name=op.f("fk_lock_platforms_lock_id_locks")),
        sa.PrimaryKeyConstraint("build_id", "platform", name=op.f("pk_lock_platforms")),
    )
    op.create_index("ix_lock_platforms_lock_id", "lock_platforms", ["lock_id"], unique=False)
    op.create_table(
        "log_chunks",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_log_chunks_build_id_builds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_chunks")),
        sa.UniqueConstraint("build_id", "attempt", "number", name=op.f("uq_log_chunks_build_id_attempt_number")),
    )
    op.create_table(
        "watched_files",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("specification_sha256", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("build_id", sa.BigInteger(), nullable=True),
        sa.Column("seen_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_watched_files_build_id_builds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watched_files")),
        sa.UniqueConstraint("namespace", "path", name=op.f("uq_watched_files_namespace_path")),
    )
    op.create_foreign_key(
        "fk_environments_current_build_id_builds", "environments", "builds", ["current_build_id"], ["id"]
    )
    op.execute(sa.schema.CreateSequence(sa.Sequence("outbox_seq")))
