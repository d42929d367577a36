"""referrers"""

revision = "20261123_0015"
down_revision = "20261123_0014"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
