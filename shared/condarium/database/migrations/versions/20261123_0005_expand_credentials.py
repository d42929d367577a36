"""credentials"""

revision = "20261123_0005"
down_revision = "20261123_0004"


def upgrade() -> None:
    pass
