"""solves"""

revision = "20261123_0008"
down_revision = "20261123_0007"


def upgrade() -> None:
    pass
