"""registry: blobs by their sha512"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0013"
down_revision = "20261123_0012"


def upgrade() -> None:
    op.create_table(
        "blob_digests",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("sha512", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob_digests")),
        sa.UniqueConstraint("sha512", name=op.f("uq_blob_digests_sha512")),
    )


def downgrade() -> None:
    op.drop_table("blob_digests")
