"""on demand"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0014"
down_revision = "20261123_0013"


def upgrade() -> None:
    op.create_table(
        "on_demand_pulls",
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("last_pulled_on", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["builds.id"], name=op.f("fk_on_demand_pulls_build_id_builds"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_on_demand_pulls")),
    )
    op.create_table(
        "on_demand_starts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_on_demand_starts")),
    )
    op.create_index("ix_on_demand_starts_subject_at", "on_demand_starts", ["subject", "at"])
    op.create_index("ix_on_demand_starts_at", "on_demand_starts", ["at"])


def downgrade() -> None:
    op.drop_table("on_demand_starts")
    op.drop_table("on_demand_pulls")
