"""images"""

revision = "20261123_0012"
down_revision = "20261123_0011"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
