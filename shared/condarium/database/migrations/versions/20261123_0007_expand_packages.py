"""packages"""

revision = "20261123_0007"
down_revision = "20261123_0006"


def upgrade() -> None:
    pass
