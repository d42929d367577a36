"""settings and quotas"""

revision = "20261123_0004"
down_revision = "20261123_0003"


def upgrade() -> None:
    pass
