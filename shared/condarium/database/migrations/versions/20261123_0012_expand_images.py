"""images"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0012"
down_revision = "20261123_0011"


def upgrade() -> None:
    op.add_column("base_images", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("base_images", sa.Column("is_chosen", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "uq_base_images_name",
        "base_images",
        ["platform", "name"],
        unique=True,
        postgresql_where=sa.text("name is not null"),
    )


def downgrade() -> None:
    op.drop_index("uq_base_images_name", "base_images")
    op.drop_column("base_images", "is_chosen")
    op.drop_column("base_images", "name")
