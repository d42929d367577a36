"""images of builds"""

from alembic import op

revision = "20261123_0019"
down_revision = "20261123_0018"


def upgrade() -> None:
    # which builds an image is recorded at: asked with each pull by digest
    op.create_index("ix_build_artifacts_digest", "build_artifacts", ["digest"])


def downgrade() -> None:
    op.drop_index("ix_build_artifacts_digest", "build_artifacts")
