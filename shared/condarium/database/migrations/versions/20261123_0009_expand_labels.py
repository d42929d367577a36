"""labels"""

revision = "20261123_0009"
down_revision = "20261123_0008"


def upgrade() -> None:
    pass
