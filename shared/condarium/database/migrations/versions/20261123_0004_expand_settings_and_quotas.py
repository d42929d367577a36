"""settings and quotas"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_0004"
down_revision = "20261123_0003"

NOW = sa.text("clock_timestamp()")
JSON = postgresql.JSONB(astext_type=sa.Text())

#: every build is counted by the namespace of its environment, whoever writes it
_COUNT_BUILDS = """
create function count_usage_of_builds() returns trigger language plpgsql as $$
declare
    here int := 0;
    busy int := 0;
    space bigint;
begin
    if tg_op <> 'DELETE' then
        here := here + (new.deleted_on is null)::int;
        busy := busy + (new.status in ('QUEUED', 'BUILDING'))::int;
    end if;
    if tg_op <> 'INSERT' then
        here := here - (old.deleted_on is null)::int;
        busy := busy - (old.status in ('QUEUED', 'BUILDING'))::int;
    end if;
    if here <> 0 or busy <> 0 then
        select namespace_id into space from environments
        where id = case when tg_op = 'DELETE' then old.environment_id else new.environment_id end;
        insert into usage_changes (namespace_id, builds, active) values (space, here, busy);
    end if;
    return null;
end
$$
"""

#: an artifact that is there now makes bytes
_NOTE_ARTIFACTS = """
create function note_usage_of_artifacts() returns trigger language plpgsql as $$
begin
    insert into usage_changes (namespace_id)
    select environments.namespace_id from builds join environments on environments.id = builds.environment_id
    where builds.id = new.build_id;
    return null;
end
$$
"""

_TRIGGERS = (
    """
create trigger count_usage after insert or delete or update of status, deleted_on on builds
for each row execute function count_usage_of_builds()
""",
    """
create trigger note_usage after update of state on build_artifacts
for each row when (new.state = 'READY' and old.state <> 'READY') execute function note_usage_of_artifacts()
""",
)

_FIRST_COUNTS = """
insert into usage_changes (namespace_id, builds, active)
select environments.namespace_id,
    count(*) filter (where builds.deleted_on is null),
    count(*) filter (where builds.status in ('QUEUED', 'BUILDING'))
from builds join environments on environments.id = builds.environment_id
group by environments.namespace_id
"""


def upgrade() -> None:
    _settings()
    _usage()
    op.add_column("builds", sa.Column("settings", JSON, server_default="{}", nullable=False))
    op.add_column("prefixes", sa.Column("own_size", sa.BigInteger(), nullable=True))
    for statement in (_COUNT_BUILDS, _NOTE_ARTIFACTS, *_TRIGGERS, _FIRST_COUNTS):
        op.execute(statement)


def _settings() -> None:
    op.create_table(
        "settings",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=True),
        sa.Column("environment", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("changed_on", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_settings_namespace_id_namespaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings")),
    )
    op.create_index(
        "uq_settings_key", "settings", ["key"], unique=True, postgresql_where=sa.text("namespace_id is null")
    )
    op.create_index(
        "uq_settings_namespace_id_environment_key",
        "settings",
        ["namespace_id", "environment", "key"],
        unique=True,
        postgresql_where=sa.text("namespace_id is not null"),
    )
    op.create_table(
        "setting_changes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=True),
        sa.Column("environment", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.Column("changed_on", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name=op.f("fk_setting_changes_namespace_id_namespaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_setting_changes")),
    )
    op.create_index(
        "ix_setting_changes_namespace_id_environment", "setting_changes", ["namespace_id", "environment", "id"]
    )


def _usage() -> None:
    op.create_table(
        "usage_changes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("builds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("active", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_changes")),
    )
    op.create_index("ix_usage_changes_namespace_id", "usage_changes", ["namespace_id"])
    # Every change of a row is a row here, and soon gone again.
    op.execute("alter table usage_changes set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
    op.create_table(
        "namespace_usage",
        sa.Column("namespace_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("builds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("active", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("exclusive", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shared", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("measured_on", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("namespace_id", name=op.f("pk_namespace_usage")),
    )
    op.create_table(
        "namespace_holdings",
        sa.Column("namespace_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace_id", "key", name=op.f("pk_namespace_holdings")),
    )
    op.create_index("ix_namespace_holdings_key", "namespace_holdings", ["key"])
    op.create_table(
        "lock_links",
        sa.Column("lock_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lock_id"], ["locks.id"], name=op.f("fk_lock_links_lock_id_locks")),
        sa.PrimaryKeyConstraint("lock_id", "key", name=op.f("pk_lock_links")),
    )
