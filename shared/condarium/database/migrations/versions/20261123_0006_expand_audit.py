"""audit"""

revision = "20261123_0006"
down_revision = "20261123_0005"


def upgrade() -> None:
    pass
