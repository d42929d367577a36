"""pieces"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0011"
down_revision = "20261123_0010"


def upgrade() -> None:
    op.add_column("pieces", sa.Column("paths", sa.LargeBinary(), server_default="", nullable=False))
    op.create_table(
        "interpreters",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column(
            "created_on", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("sha256", "platform", name=op.f("pk_interpreters")),
    )


def downgrade() -> None:
    op.drop_table("interpreters")
    op.drop_column("pieces", "paths")
