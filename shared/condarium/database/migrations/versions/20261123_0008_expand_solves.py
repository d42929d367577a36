"""solves"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0008"
down_revision = "20261123_0007"


def upgrade() -> None:
    op.create_table(
        "solves",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="QUEUED", nullable=False),
        sa.Column("wanted_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("locks", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("repodata", sa.Text(), nullable=True),
        sa.Column("answered_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('QUEUED', 'SOLVING', 'SOLVED', 'FAILED')", name=op.f("ck_solves_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_solves")),
        sa.UniqueConstraint("question", name=op.f("uq_solves_question")),
    )
    op.create_index("ix_solves_claimable", "solves", ["id"], postgresql_where=sa.text("state in ('QUEUED', 'SOLVING')"))
    op.create_index("ix_solves_wanted_until", "solves", ["wanted_until"])
