"""archives"""

revision = "20261123_0017"
down_revision = "20261123_0016"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
