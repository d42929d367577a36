"""What namespaces use and may use (docs/adr/0011).

Counts are exact at any moment: the sums that were folded, and the changes since. Bytes are as `measure` last found
them; it is called aside, by builders' housekeeping, and works on namespaces in which something has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from condarium.database import settings
from condarium.database.listing import visible
from condarium.database.tables import (
    LockLink,
    LockRow,
    Namespace,
    NamespaceUsage,
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


def of_namespace(session: Session, namespace_id: int) -> Usage:
    return _usage(_read(session, Namespace.id == namespace_id)[0])


def hold(session: Session, namespace_id: int) -> None:
    """One submission at a time in a namespace with a quota, until the transaction ends: what it reads stays true."""
    session.execute(select(func.pg_advisory_xact_lock(_ASKING, namespace_id % 2**31)))


def _read(session: Session, where: ColumnElement[bool]) -> list[Row[Any]]:
    builds, active = _with_changes("builds"), _with_changes("active")
    environments = _sum(RowCount.environments, RowCount.namespace_id)
    query = (
        select(
            Namespace.id,
            Namespace.name,
            environments.label("environments"),
            builds.label("builds"),
            active.label("active"),
            func.coalesce(NamespaceUsage.exclusive, 0).label("exclusive"),
            func.coalesce(NamespaceUsage.shared, 0).label("shared"),
            NamespaceUsage.measured_on.label("on"),
        )
        .outerjoin(NamespaceUsage, NamespaceUsage.namespace_id == Namespace.id)
        .where(Namespace.deleted_on.is_(None), where)
        .order_by(Namespace.name)
    )
    return list(session.execute(query).all())


def _with_changes(name: str) -> ColumnElement[Any]:
    folded = func.coalesce(getattr(NamespaceUsage, name), 0)
    return folded + _sum(getattr(UsageChange, name), UsageChange.namespace_id)


def _sum(column: InstrumentedAttribute[int], of: InstrumentedAttribute[int]) -> ScalarSelect[Any]:
    return select(func.coalesce(func.sum(column), 0)).where(of == Namespace.id).correlate(Namespace).scalar_subquery()


def _usage(row: Row[Any]) -> Usage:
    return Usage(
        environments=int(row.environments),
        builds=int(row.builds),
        active=int(row.active),
        exclusive=row.exclusive,
        shared=row.shared,
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
        touched = {int(found) for found in session.execute(_SHARING, {"spaces": changed}).scalars()}
        session.execute(_FORGET, {"spaces": changed})
        session.execute(_HOLD, {"spaces": changed})
        touched |= {int(found) for found in session.execute(_SHARING, {"spaces": changed}).scalars()}
        session.execute(_SUM, {"spaces": sorted(touched | set(changed)), "changed": changed})
    return len(changed)


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
_SHARING = text(
    """
    select distinct other.namespace_id
    from namespace_holdings mine join namespace_holdings other using (key)
    where mine.namespace_id = any(:spaces) and not other.namespace_id = any(:spaces)
    """
)
_FORGET = text("delete from namespace_holdings where namespace_id = any(:spaces)")
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
    insert into namespace_holdings (namespace_id, key, bytes)
    select namespace_id, key, max(bytes) from found group by namespace_id, key
    """
)
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
