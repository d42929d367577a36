"""tokens"""

revision = "20261123_0003"
down_revision = "20261123_0002"


def upgrade() -> None:
    pass
