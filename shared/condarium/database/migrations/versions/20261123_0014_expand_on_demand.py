"""on demand"""

revision = "20261123_0014"
down_revision = "20261123_0013"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
