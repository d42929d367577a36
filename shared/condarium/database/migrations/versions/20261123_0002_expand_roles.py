"""roles"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0002"
down_revision = "20261123_0001"

_ROLES = "role in ('viewer', 'developer', 'admin')"


def upgrade() -> None:
    op.create_table(
        "role_mappings",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        *_created(),
        sa.CheckConstraint(_ROLES, name=op.f("ck_role_mappings_role")),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_role_mappings_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_mappings")),
        sa.UniqueConstraint("namespace_id", "entity", "role", name=op.f("uq_role_mappings_namespace_id_entity_role")),
    )
    op.create_table(
        "namespace_roles",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("other_namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        *_created(),
        sa.CheckConstraint(_ROLES, name=op.f("ck_namespace_roles_role")),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_namespace_roles_namespace_id_namespaces")
        ),
        sa.ForeignKeyConstraint(
            ["other_namespace_id"], ["namespaces.id"], name=op.f("fk_namespace_roles_other_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespace_roles")),
        sa.UniqueConstraint(
            "namespace_id", "other_namespace_id", name=op.f("uq_namespace_roles_namespace_id_other_namespace_id")
        ),
    )
    op.create_index("ix_namespace_roles_other_namespace_id", "namespace_roles", ["other_namespace_id"])


def _created() -> list[sa.Column[object]]:
    now = sa.text("clock_timestamp()")
    return [
        sa.Column("created_on", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="system", nullable=False),
    ]
