"""registry"""

revision = "20261123_0013"
down_revision = "20261123_0012"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
