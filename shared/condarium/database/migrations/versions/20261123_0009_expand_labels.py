"""labels"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0009"
down_revision = "20261123_0008"


def upgrade() -> None:
    op.create_table(
        "build_labels",
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_build_labels_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "key", name=op.f("pk_build_labels")),
    )
    op.create_index("ix_build_labels_key_value", "build_labels", ["key", "value"])
