"""counts"""

revision = "20261123_0010"
down_revision = "20261123_0009"


def upgrade() -> None:
    pass
