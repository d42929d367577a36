"""packages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0007"
down_revision = "20261123_0006"

_BYTEWISE = sa.Text(collation="C")


def upgrade() -> None:
    _channels()
    _packages()


def _channels() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("url", _BYTEWISE, nullable=False),
        sa.Column("is_indexed", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("url", name=op.f("uq_channels_url")),
    )
    op.create_table(
        "channel_syncs",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("is_indexed", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("state", sa.Text(), server_default="WAITING", nullable=False),
        sa.Column("seen", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("records", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("checked_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('WAITING', 'SYNCING')", name=op.f("ck_channel_syncs_state")),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_channel_syncs_channel_id_channels"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_syncs")),
        sa.UniqueConstraint("channel_id", "part", name=op.f("uq_channel_syncs_channel_id_part")),
    )


def _packages() -> None:
    op.create_table(
        "package_names",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("name", _BYTEWISE, nullable=False),
        sa.Column("versions", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_package_names_channel_id_channels"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_names")),
        sa.UniqueConstraint("channel_id", "name", name=op.f("uq_package_names_channel_id_name")),
    )
    op.create_index("ix_package_names_name", "package_names", ["name"])
    op.create_table(
        "packages",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name_id", sa.BigInteger(), nullable=False),
        sa.Column("version", _BYTEWISE, nullable=False),
        sa.Column("version_key", sa.LargeBinary(), nullable=False),
        sa.Column("license", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages")),
    )
    op.create_index(
        "uq_packages_name_id_version_key_version", "packages", ["name_id", "version_key", "version"], unique=True
    )
    op.create_index("ix_packages_version_key_version", "packages", ["version_key", "version"])
    op.create_table(
        "package_records",
        sa.Column("sync_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("build", _BYTEWISE, nullable=False),
        sa.Column("build_number", sa.BigInteger(), nullable=False),
        sa.Column("license", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("depends", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("constrains", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("sync_id", "digest", name=op.f("pk_package_records")),
    )
    op.create_index("ix_package_records_package_id_build", "package_records", ["package_id", "build"])
    op.create_table(
        "package_summaries",
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("name", _BYTEWISE, nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_package_summaries_channel_id_channels"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("channel_id", "name", name=op.f("pk_package_summaries")),
    )
    op.create_table(
        "package_shards",
        sa.Column("sync_id", sa.BigInteger(), nullable=False),
        sa.Column("name", _BYTEWISE, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sync_id"], ["channel_syncs.id"], name=op.f("fk_package_shards_sync_id_channel_syncs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sync_id", "name", name=op.f("pk_package_shards")),
    )
