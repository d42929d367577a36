"""What namespaces use and may use (docs/adr/0013).

Counts are exact at any moment: the sums that were folded, and the changes since. Bytes are as `measure` last found
them; it is called aside, by builders' housekeeping, and works on namespaces in which something has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Subquery, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from condarium.database import settings
from condarium.database.listing import visible
from condarium.database.tables import (
    LockLink,
    LockRow,
    Namespace,
    NamespaceHolding,
    NamespaceUsage,
    Prefix,
    RowCount,
    UsageChange,
)
from condarium.domain.access import Visible
from condarium.domain.quota import Quota, Usage
from condarium.domain.settings import Level, merge

QUOTAS = ("quota_builds", "quota_bytes", "quota_concurrent_builds")

#: of the transaction lock of whoever measures
_MEASURING = 0x75736167
#: of the transaction locks, one for each namespace, under which quotas are asked and used up
_ASKING = 0x71756F74


@dataclass(frozen=True)
class Used:
    """A row of the list; `measured_on` is when bytes were last looked at, None before that."""

    namespace: str
    usage: Usage
    quota: Quota
    measured_on: datetime | None


def quota(values: Mapping[str, Any]) -> Quota:
    """Out of the values of settings."""
    return Quota(*(values[key] for key in QUOTAS))


def of_visible(session: Session, shown: Visible, *, deployment: Mapping[str, Any]) -> list[Used]:
    """One row for each namespace that `shown` has anything of, by name. Two statements, whatever there is."""
    rows = _read(session, visible(shown, environment=None))
    limits = settings.of_namespaces(session, QUOTAS)
    above = {Level.DEPLOYMENT: deployment, Level.GLOBAL: limits.get(None, {})}
    return [
        Used(row.name, _usage(row), quota(merge({**above, Level.NAMESPACE: limits.get(row.id, {})}).values), row.on)
        for row in rows
    ]


def saved_by_links(session: Session, shown: Visible) -> dict[str, int]:
    """By namespace: the bytes that its prefixes would need more if each had files of its own."""
    linked = (
        select(Prefix.namespace_id, func.sum(Prefix.size - func.coalesce(Prefix.own_size, Prefix.size)).label("bytes"))
        .where(Prefix.deleted_on.is_(None))
        .group_by(Prefix.namespace_id)
        .subquery()
    )
    once = (
        select(NamespaceHolding.namespace_id, func.sum(NamespaceHolding.bytes).label("bytes"))
        .where(or_(NamespaceHolding.key.startswith("package:"), NamespaceHolding.key.startswith("wheel:")))
        .group_by(NamespaceHolding.namespace_id)
        .subquery()
    )
    query = (
        select(Namespace.name, _plus(linked.c.bytes) - _plus(once.c.bytes))
        .join(linked, linked.c.namespace_id == Namespace.id)
        .join(once, once.c.namespace_id == Namespace.id)
        .where(Namespace.deleted_on.is_(None), visible(shown, environment=None))
    )
    return {row[0]: max(0, int(row[1])) for row in session.execute(query)}


def of_namespace(session: Session, namespace_id: int) -> Usage:
    return _usage(_read(session, Namespace.id == namespace_id, only=namespace_id)[0])


def hold(session: Session, namespace_id: int) -> None:
    """One submission at a time in a namespace with a quota, until the transaction ends: what it reads stays true."""
    session.execute(select(func.pg_advisory_xact_lock(_ASKING, namespace_id % 2**31)))


def _read(session: Session, where: ColumnElement[bool], *, only: int | None = None) -> list[Row[Any]]:
    """`only` is the id of the one namespace that is asked for."""
    changes = _summed(UsageChange.namespace_id, UsageChange.builds, UsageChange.active, only=only)
    counts = _summed(RowCount.namespace_id, RowCount.environments, only=only)
    query = (
        select(
            Namespace.id,
            Namespace.name,
            _plus(counts.c.environments).label("environments"),
            _plus(NamespaceUsage.builds, changes.c.builds).label("builds"),
            _plus(NamespaceUsage.active, changes.c.active).label("active"),
            _plus(NamespaceUsage.exclusive).label("exclusive"),
            _plus(NamespaceUsage.shared).label("shared"),
            NamespaceUsage.measured_on.label("on"),
        )
        .outerjoin(NamespaceUsage, NamespaceUsage.namespace_id == Namespace.id)
        .outerjoin(changes, changes.c.namespace_id == Namespace.id)
        .outerjoin(counts, counts.c.namespace_id == Namespace.id)
        .where(Namespace.deleted_on.is_(None), where)
        .order_by(Namespace.name)
    )
    return list(session.execute(query).all())


def _summed(of: InstrumentedAttribute[int], *columns: InstrumentedAttribute[int], only: int | None) -> Subquery:
    sums = select(of, *(func.sum(column).label(column.key) for column in columns)).group_by(of)
    return (sums if only is None else sums.where(of == only)).subquery()


def _plus(*columns: Any) -> ColumnElement[Any]:
    found: ColumnElement[Any] = func.coalesce(columns[0], 0)
    for column in columns[1:]:
        found = found + func.coalesce(column, 0)
    return found


def _usage(row: Row[Any]) -> Usage:
    return Usage(
        environments=int(row.environments),
        builds=int(row.builds),
        active=int(row.active),
        exclusive=int(row.exclusive),
        shared=int(row.shared),
    )


def record_links(session: Session, lock_hash: str, links: Mapping[str, int]) -> None:
    """What a prefix of the lock links to: {key: bytes}. The first prefix of a lock says it for all."""
    if not links:
        return
    lock_id = session.execute(select(LockRow.id).where(LockRow.sha256 == lock_hash)).scalar_one()
    session.execute(
        insert(LockLink)
        .values([{"lock_id": lock_id, "key": key, "bytes": size} for key, size in sorted(links.items())])
        .on_conflict_do_nothing(index_elements=["lock_id", "key"])
    )


def measure(session: Session) -> int:
    """Folds what has changed and measures the namespaces it is about; how many. One process does it at a time."""
    if not session.execute(select(func.pg_try_advisory_xact_lock(_MEASURING))).scalar_one():
        return 0
    changed = [int(found) for found in session.execute(_FOLD).scalars()]
    if changed:
        # What others share with them may be theirs alone now, and the other way round.
        touched = _hold_anew(session, changed) | set(changed)
        session.execute(_SUM, {"spaces": sorted(touched), "changed": changed})
    return len(changed)


def _hold_anew(session: Session, spaces: list[int]) -> set[int]:
    """Brings what namespaces hold up to date; the namespaces that hold any of what differs."""
    # Tables and no parts of one statement: the planner must know how much there is.
    for table in ("held", "differing"):
        session.execute(text(_TEMPORARY.format(table)))
    session.execute(_HOLD, {"spaces": spaces})
    session.execute(text("analyze held"))
    session.execute(_COMPARE, {"spaces": spaces})
    session.execute(text("analyze differing"))
    session.execute(_REMOVE)
    session.execute(_ADD)
    count = session.execute(text("select count(*) from differing")).scalar_one()
    if count > _MANY:
        session.execute(text("analyze namespace_holdings"))
    touched = {int(found) for found in session.execute(_SHARING).scalars()}
    for table in ("held", "differing"):
        session.execute(text(f"drop table {table}"))
    return touched


#: rows after whose change the planner should look at the table again, before autovacuum does
_MANY = 1000
_TEMPORARY = """
create temporary table {} (namespace_id bigint, key text, bytes bigint, primary key (namespace_id, key)) on commit drop
"""
_FOLD = text(
    """
    with gone as (
        delete from usage_changes returning namespace_id, builds, active
    )
    insert into namespace_usage (namespace_id, builds, active)
    select namespace_id, sum(builds), sum(active) from gone group by namespace_id
    on conflict (namespace_id) do update set
        builds = namespace_usage.builds + excluded.builds, active = namespace_usage.active + excluded.active
    returning namespace_id
    """
)
# Prefixes and archives are there for as long as a build that is not deleted names them.
_HOLD = text(
    """
    with live as materialized (
        select environments.namespace_id, builds.id, builds.prefix_id, builds.status
        from builds join environments on environments.id = builds.environment_id
        where environments.namespace_id = any(:spaces) and builds.deleted_on is null
    ), of_locks as materialized (
        select distinct live.namespace_id, lock_platforms.lock_id
        from live join lock_platforms on lock_platforms.build_id = live.id where live.status = 'COMPLETED'
    ), found as (
        select namespace_id, lock_links.key, lock_links.bytes
        from of_locks join lock_links using (lock_id)
        where exists (
            select from live join prefixes on prefixes.id = live.prefix_id and prefixes.deleted_on is null
            join locks on locks.sha256 = prefixes.lock_hash
            where live.namespace_id = of_locks.namespace_id and locks.id = of_locks.lock_id
        )
        union all
        select of_prefixes.namespace_id, 'prefix:' || prefixes.id, coalesce(prefixes.own_size, prefixes.size)
        from (select distinct namespace_id, prefix_id from live where prefix_id is not null) of_prefixes
        join prefixes on prefixes.id = of_prefixes.prefix_id and prefixes.deleted_on is null
        union all
        select namespace_id, 'blob:' || (part->>0), (part->>1)::bigint
        from of_locks join archives using (lock_id), jsonb_array_elements(archives.parts) part
        union all
        select namespace_id, 'blob:' || image_blobs.blob_digest, image_blobs.size
        from of_locks join images using (lock_id) join image_blobs on image_blobs.image_digest = images.digest
        union all
        select namespace_id, 'texts:' || namespace_id, sum(size)
        from (
            select distinct live.namespace_id, build_artifacts.key, build_artifacts.size
            from live join build_artifacts on build_artifacts.build_id = live.id
            where build_artifacts.state = 'READY' and build_artifacts.key is not null
        ) texts
        group by namespace_id
    )
    insert into held select namespace_id, key, max(bytes)::bigint from found group by namespace_id, key
    """
)
_COMPARE = text(
    """
    insert into differing (namespace_id, key, bytes)
    select namespace_id, key, held.bytes
    from held
    full join (select * from namespace_holdings where namespace_id = any(:spaces)) was using (namespace_id, key)
    where held.bytes is distinct from was.bytes
    """
)
_REMOVE = text(
    """
    delete from namespace_holdings was using differing
    where (was.namespace_id, was.key) = (differing.namespace_id, differing.key)
    """
)
_ADD = text(
    """
    insert into namespace_holdings (namespace_id, key, bytes)
    select namespace_id, key, bytes from differing where bytes is not null
    """
)
_SHARING = text("select distinct namespace_id from namespace_holdings where key in (select key from differing)")
_SUM = text(
    """
    update namespace_usage set
        exclusive = coalesce(sums.exclusive, 0), shared = coalesce(sums.shared, 0),
        measured_on = case when spaces.id = any(:changed) then clock_timestamp() else measured_on end
    from unnest(cast(:spaces as bigint[])) as spaces (id)
    left join (
        select mine.namespace_id,
            sum(mine.bytes) filter (where not others) as exclusive, sum(mine.bytes) filter (where others) as shared
        from (
            select namespace_id, bytes, exists (
                select from namespace_holdings other
                where other.key = here.key and other.namespace_id <> here.namespace_id
            ) as others
            from namespace_holdings here where here.namespace_id = any(:spaces)
        ) mine
        group by mine.namespace_id
    ) sums on sums.namespace_id = spaces.id
    where namespace_usage.namespace_id = spaces.id
    """
)
