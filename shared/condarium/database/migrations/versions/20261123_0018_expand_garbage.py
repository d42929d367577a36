"""garbage"""

revision = "20261123_0018"
down_revision = "20261123_0017"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
