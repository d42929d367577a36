"""referrers, and the keys that sign"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0015"
down_revision = "20261123_0014"


def upgrade() -> None:
    _signing_keys()
    op.create_table(
        "referrer_sets",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("made_on", sa.DateTime(timezone=True), nullable=True),
        *_created(),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('REQUESTED', 'MAKING', 'READY', 'FAILED')", name=op.f("ck_referrer_sets_state")),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_referrer_sets_build_id_builds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrer_sets")),
        sa.UniqueConstraint("build_id", name=op.f("uq_referrer_sets_build_id")),
    )
    op.create_index(
        "ix_referrer_sets_claimable",
        "referrer_sets",
        ["id"],
        postgresql_where=sa.text("state in ('REQUESTED', 'MAKING')"),
    )
    _manifests()
    op.create_table(
        "referrers",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=True),
        *_created(),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_referrers_build_id_builds")),
        sa.ForeignKeyConstraint(
            ["digest"], ["referrer_manifests.digest"], name=op.f("fk_referrers_digest_referrer_manifests")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrers")),
        sa.UniqueConstraint("build_id", "digest", name=op.f("uq_referrers_build_id_digest")),
    )
    op.create_index("ix_referrers_digest", "referrers", ["digest"])


def _signing_keys() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="ACTIVE", nullable=False),
        sa.Column("retired_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_by", sa.Text(), nullable=True),
        *_created(),
        sa.CheckConstraint("state in ('ACTIVE', 'RETIRED')", name=op.f("ck_signing_keys_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_signing_keys_fingerprint")),
    )
    op.create_index(
        "uq_signing_keys_active", "signing_keys", ["state"], unique=True, postgresql_where=sa.text("state = 'ACTIVE'")
    )


def _manifests() -> None:
    op.create_table(
        "referrer_manifests",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("artifact_type", sa.Text(), nullable=False),
        sa.Column("annotations", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        *_created(),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_referrer_manifests")),
    )
    op.create_index("ix_referrer_manifests_subject", "referrer_manifests", ["subject"])
    op.create_table(
        "referrer_blobs",
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("blob_digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_digest"],
            ["referrer_manifests.digest"],
            name=op.f("fk_referrer_blobs_manifest_digest_referrer_manifests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("manifest_digest", "blob_digest", name=op.f("pk_referrer_blobs")),
    )
    op.create_index("ix_referrer_blobs_blob_digest", "referrer_blobs", ["blob_digest"])


def _created() -> tuple[sa.Column, sa.Column]:  # type: ignore[type-arg]
    return (
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
    )


def downgrade() -> None:
    for table in ("referrers", "referrer_blobs", "referrer_manifests", "referrer_sets", "signing_keys"):
        op.drop_table(table)
