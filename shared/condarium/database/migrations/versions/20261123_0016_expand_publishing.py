"""publishing"""

revision = "20261123_0016"
down_revision = "20261123_0015"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
