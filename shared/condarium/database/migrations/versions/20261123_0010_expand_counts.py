"""counts"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0010"
down_revision = "20261123_0009"

#: makes one row of those of a namespace (0: the installation); what another transaction holds is left to the next one
_FOLD = """
create function fold_row_counts(space bigint) returns void language sql as $$
    with gone as (
        delete from row_counts
        where id = any (array(select id from row_counts where namespace_id = space for update skip locked))
        returning namespaces, environments, builds
    )
    insert into row_counts (namespace_id, namespaces, environments, builds)
    select space, sum(namespaces), sum(environments), sum(builds) from gone having count(*) > 0
$$
"""

#: statements that insert or delete: each namespace gets one row of changes, and one in ten folds what lies there
_TOUCHED = """
create function count_touched_{table}() returns trigger language plpgsql as $$
declare
    sign constant int := case tg_op when 'INSERT' then 1 else -1 end;
    space bigint;
begin
    insert into row_counts (namespace_id, {table})
    select {space}, sign * count(*) from touched where {counted}
    group by grouping sets ({groups}) having count(*) > 0;
    if random() < 0.1 then
        for space in select distinct {space} from touched where {counted} group by grouping sets ({groups}) loop
            perform fold_row_counts(space);
        end loop;
    end if;
    return null;
end
$$
"""

_WHEN_TOUCHED = """
create trigger count_{word} after {word} on {table}
referencing {side} table as touched for each statement execute function count_touched_{table}()
"""

#: rows that are deleted softly, or come back
_HIDDEN = """
create function count_hidden_{table}() returns trigger language plpgsql as $$
declare
    sign constant int := case when new.deleted_on is null then 1 else -1 end;
begin
    insert into row_counts (namespace_id, {table}) values {values};
    if random() < 0.1 then
        {folds};
    end if;
    return null;
end
$$
"""

_WHEN_HIDDEN = """
create trigger count_hidden after update of deleted_on on {table} for each row
when ((old.deleted_on is null) <> (new.deleted_on is null)) execute function count_hidden_{table}()
"""

#: what inserts a build without saying of which namespace it is: the release before this one
_SPACE_OF_BUILD = (
    """
create function set_namespace_of_build() returns trigger language plpgsql as $$
begin
    new.namespace_id := (select namespace_id from environments where id = new.environment_id);
    return new;
end
$$
""",
    """
create trigger set_namespace before insert on builds for each row
when (new.namespace_id is null) execute function set_namespace_of_build()
""",
)

_FIRST_COUNTS = """
insert into row_counts (namespace_id, namespaces, environments, builds)
select coalesce(space, 0), sum(namespaces), sum(environments), sum(builds)
from (
    select null::bigint as space, 1 as namespaces, 0 as environments, 0 as builds
    from namespaces where deleted_on is null
    union all select namespace_id, 0, 1, 0 from environments where deleted_on is null
    union all select namespace_id, 0, 0, 1 from builds
) as found
group by grouping sets ((), (space)) having count(*) > 0 and (grouping(space) = 1 or space is not null)
"""


def upgrade() -> None:
    _name_the_namespace_of_builds()
    op.create_table(
        "row_counts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("namespaces", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("environments", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("builds", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_row_counts")),
    )
    op.create_index("ix_row_counts_namespace_id", "row_counts", ["namespace_id"])
    # Every change of a row is a row here, and soon gone again.
    op.execute("alter table row_counts set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
    _count_from_now_on()
    op.execute(_FIRST_COUNTS)
    _index_lists()


def _name_the_namespace_of_builds() -> None:
    op.add_column("builds", sa.Column("namespace_id", sa.BigInteger(), nullable=True))
    op.execute(
        "update builds set namespace_id = environments.namespace_id from environments "
        "where environments.id = builds.environment_id"
    )
    op.alter_column("builds", "namespace_id", nullable=False)
    op.create_foreign_key("fk_builds_namespace_id_namespaces", "builds", "namespaces", ["namespace_id"], ["id"])
    for statement in _SPACE_OF_BUILD:
        op.execute(statement)


def _count_from_now_on() -> None:
    op.execute(_FOLD)
    of_a_space = {"space": "coalesce(namespace_id, 0)", "groups": "(), (namespace_id)"}
    of_the_whole = {"space": "0", "groups": "()"}
    live = "deleted_on is null"
    for table, counted, shape in (
        ("namespaces", live, of_the_whole),
        ("environments", live, of_a_space),
        ("builds", "true", of_a_space),
    ):
        op.execute(_TOUCHED.format(table=table, counted=counted, **shape))
        for word, side in (("insert", "new"), ("delete", "old")):
            op.execute(_WHEN_TOUCHED.format(table=table, word=word, side=side))
    for table, spaces in (("namespaces", ("0",)), ("environments", ("new.namespace_id", "0"))):
        values = ", ".join(f"({space}, sign)" for space in spaces)
        folds = "; ".join(f"perform fold_row_counts({space})" for space in spaces)
        op.execute(_HIDDEN.format(table=table, values=values, folds=folds))
        op.execute(_WHEN_HIDDEN.format(table=table))


def _index_lists() -> None:
    op.create_index("ix_builds_namespace_id_id", "builds", ["namespace_id", "id"])
    # Pages far behind are found in this one alone.
    op.create_index("ix_builds_id_and_namespace_id", "builds", ["id"], postgresql_include=["namespace_id"])
    op.create_index("ix_builds_status_id", "builds", ["status", "id"])
    for column in ("scheduled_on", "started_on", "ended_on"):
        op.create_index(f"ix_builds_{column}_id", "builds", [column, "id"])
    op.create_index("ix_environments_name_id", "environments", ["name", "id"])
    op.create_index(
        "ix_build_artifacts_artifact_type_build_id",
        "build_artifacts",
        ["artifact_type", "build_id"],
        postgresql_where=sa.text("state = 'READY'"),
    )
    op.create_index("ix_namespaces_deleted", "namespaces", ["id"], postgresql_where=sa.text("deleted_on is not null"))
