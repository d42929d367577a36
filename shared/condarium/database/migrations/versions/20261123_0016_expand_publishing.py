"""publishing"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0016"
down_revision = "20261123_0015"


def upgrade() -> None:
    op.create_table(
        "package_copies",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("used_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("failed_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')", name=op.f("ck_package_copies_state")),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_package_copies_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_copies")),
        sa.UniqueConstraint("namespace_id", "sha256", name=op.f("uq_package_copies_namespace_id_sha256")),
    )
    op.create_index(
        "ix_package_copies_claimable",
        "package_copies",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state in ('REQUESTED', 'MAKING')"),
    )
    op.create_index("ix_package_copies_sha256", "package_copies", ["sha256"], unique=False)
    op.create_table(
        "channel_indexes",
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("subdir", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_channel_indexes_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "subdir", "media_type", name=op.f("pk_channel_indexes")),
    )
    op.create_index("ix_channel_indexes_digest", "channel_indexes", ["digest"], unique=False)
    op.create_table(
        "publish_rules",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("registry_url", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("environments", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("referrers", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "updated_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("updated_by", sa.Text(), server_default="system", nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_publish_rules_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publish_rules")),
        sa.UniqueConstraint("namespace_id", "name", name=op.f("uq_publish_rules_namespace_id_name")),
    )
    op.create_table(
        "publications",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("repository", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("is_stale", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("ready_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')", name=op.f("ck_publications_state")),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_publications_build_id_builds")),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["publish_rules.id"], name=op.f("fk_publications_rule_id_publish_rules"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publications")),
        sa.UniqueConstraint("rule_id", "build_id", name=op.f("uq_publications_rule_id_build_id")),
    )
    op.create_index("ix_publications_build_id", "publications", ["build_id"], unique=False)
    op.create_index(
        "ix_publications_claimable",
        "publications",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state in ('REQUESTED', 'MAKING')"),
    )
    op.create_table(
        "pushed_blobs",
        sa.Column("registry_url", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pushed_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_pushed_blobs_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("registry_url", "digest", "repository", "namespace_id", name=op.f("pk_pushed_blobs")),
    )


def downgrade() -> None:
    for table in ("pushed_blobs", "publications", "publish_rules", "channel_indexes", "package_copies"):
        op.drop_table(table)
