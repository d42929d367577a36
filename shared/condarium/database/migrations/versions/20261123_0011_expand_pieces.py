"""pieces"""

revision = "20261123_0011"
down_revision = "20261123_0010"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
