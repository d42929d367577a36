"""audit"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0006"
down_revision = "20261123_0005"

#: A session that deletes what is too old says so; everything else is refused, whoever has the service's account.
GUARD = """
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('condarium.audit_retention', true) = 'on' then
        return old;
    end if;
    if tg_op = 'UPDATE' and old.sum_key is not null and new.count >= old.count
       and (to_jsonb(new) - 'count' - 'last_on') = (to_jsonb(old) - 'count' - 'last_on') then
        return new;
    end if;
    raise exception 'the audit log is append-only';
end $$;
create trigger audit_is_append_only before update or delete on audit
    for each row execute function audit_is_append_only();
"""


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("happened_on", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("last_on", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), server_default="", nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("count", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("sum_key", sa.Text(), nullable=True),
        sa.CheckConstraint("outcome in ('done', 'denied', 'failed')", name=op.f("ck_audit_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("sum_key", name=op.f("uq_audit_sum_key")),
    )
    op.create_index("ix_audit_last_on", "audit", ["last_on"])
    op.create_index("ix_audit_namespace_id", "audit", ["namespace", "id"])
    op.create_index("ix_audit_principal_id", "audit", ["principal", "id"])
    op.execute(GUARD)
