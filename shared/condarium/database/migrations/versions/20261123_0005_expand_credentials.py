"""credentials"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0005"
down_revision = "20261123_0004"


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "credentials",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("updated_on", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"],
            ["namespaces.id"],
            name=op.f("fk_credentials_namespace_id_namespaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
    )
    of_namespace, of_deployment = sa.text("namespace_id is not null"), sa.text("namespace_id is null")
    for name, columns, where in (
        ("uq_credentials_namespace_id_name", ["namespace_id", "name"], of_namespace),
        ("uq_credentials_name", ["name"], of_deployment),
        ("uq_credentials_namespace_id_use_url", ["namespace_id", "use", "url"], of_namespace),
        ("uq_credentials_use_url", ["use", "url"], of_deployment),
    ):
        op.create_index(name, "credentials", columns, unique=True, postgresql_where=where)
    op.create_table(
        "package_access",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("sha256", "scope", name=op.f("pk_package_access")),
    )
