"""garbage"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0018"
down_revision = "20261123_0017"

_NOW = sa.text("clock_timestamp()")


def _moment(name: str, *, required: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=_NOW if required else None, nullable=not required)


def upgrade() -> None:
    op.add_column("build_artifacts", _moment("claimed_on"))
    op.add_column("pieces", _moment("used_on"))
    op.create_table(
        "pins",
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        _moment("expires_on"),
        _moment("created_on", required=True),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_pins_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_pins")),
    )
    op.create_table(
        "condemned",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="CONDEMNED", nullable=False),
        _moment("condemned_on", required=True),
        _moment("gone_on"),
        sa.CheckConstraint("state in ('CONDEMNED', 'DELETING', 'GONE')", name=op.f("ck_condemned_state")),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_condemned")),
    )
    op.create_index("ix_condemned_state_condemned_on", "condemned", ["state", "condemned_on"])
    op.create_table(
        "live_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_live_keys")),
    )
    # It is filled anew by each sweep: it need not survive a crash, nor be in the log.
    op.execute("alter table live_keys set unlogged")
    _sweeps()


def _sweeps() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        _moment("created_on", required=True),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.CheckConstraint("verb in ('gc', 'verify')", name=op.f("ck_sweeps_verb")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
    op.create_table(
        "sweep_parts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("sweep_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        _moment("ended_on"),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        _moment("lease_until"),
        _moment("not_before"),
        sa.CheckConstraint("state in ('REQUESTED', 'RUNNING', 'DONE', 'FAILED')", name=op.f("ck_sweep_parts_state")),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweeps.id"], name=op.f("fk_sweep_parts_sweep_id_sweeps"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep_parts")),
        sa.UniqueConstraint("sweep_id", "part", name=op.f("uq_sweep_parts_sweep_id_part")),
    )
    op.create_index(
        "ix_sweep_parts_claimable",
        "sweep_parts",
        ["part", "id"],
        postgresql_where=sa.text("state in ('REQUESTED', 'RUNNING')"),
    )


def downgrade() -> None:
    for table in ("sweep_parts", "sweeps", "live_keys", "condemned", "pins"):
        op.drop_table(table)
    op.drop_column("pieces", "used_on")
    op.drop_column("build_artifacts", "claimed_on")
