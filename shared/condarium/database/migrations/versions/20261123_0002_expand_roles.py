"""roles"""

revision = "20261123_0002"
down_revision = "20261123_0001"


def upgrade() -> None:
    pass
