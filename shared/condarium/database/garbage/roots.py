"""What keeps builds, and with them their locks and all that is rendered of these."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.domain import on_demand
from condarium.domain.retention import Retention

# Everything of a build that is deleted itself, or whose environment or namespace is, has no root.
_ROOTS = """
with standing as (
    select builds.id, builds.environment_id, builds.status, builds.generation, builds.ended_on,
        environments.current_build_id, environments.name, namespaces.id as namespace_id,
        namespaces.name = :dynamic as dynamic
    from builds
    join environments on environments.id = builds.environment_id and environments.deleted_on is null
    join namespaces on namespaces.id = environments.namespace_id and namespaces.deleted_on is null
    where builds.deleted_on is null
), ranked as (
    select standing.*, row_number() over (partition by environment_id order by generation desc) as place
    from standing where status = 'COMPLETED'
), limits as (
    select environment_id, coalesce(
        (select value from settings where settings.namespace_id = spaces.namespace_id
            and settings.environment = spaces.name and key = 'keep_generations'),
        (select value from settings where settings.namespace_id = spaces.namespace_id
            and settings.environment = '' and key = 'keep_generations'),
        (select value from settings where settings.namespace_id is null and key = 'keep_generations'),
        to_jsonb(cast(:generations as bigint))
    )::bigint as generations
    from (select distinct environment_id, namespace_id, name from standing) spaces
), roots as (
    select id as build_id, 'current' as kind, 'the current build of its environment' as detail
    from standing where id = current_build_id and not dynamic
    union all
    select ranked.id, 'generation', 'one of the ' || limits.generations || ' newest of its environment'
    from ranked join limits using (environment_id) where place <= limits.generations and not dynamic
    union all
    select standing.id, 'pin', 'pinned by ' || pins.created_by
        || case when pins.reason <> '' then ': ' || pins.reason else '' end
        || case when pins.expires_on is null then '' else ', until ' || to_char(pins.expires_on, 'YYYY-MM-DD') end
    from standing join pins on pins.build_id = standing.id
    where pins.expires_on is null or pins.expires_on > clock_timestamp()
    union all
    select standing.id, 'label', 'labelled ' || build_labels.key || '=' || build_labels.value
    from standing join build_labels on build_labels.build_id = standing.id
    union all
    select id, 'running', 'it is ' || lower(status) from standing where status in ('QUEUED', 'BUILDING')
    union all
    select standing.id, 'making', build_artifacts.artifact_type || ' is being made'
    from standing join build_artifacts on build_artifacts.build_id = standing.id
    where build_artifacts.state in ('REQUESTED', 'MAKING')
    union all
    select standing.id, 'making', 'what belongs to its image is being made'
    from standing join referrer_sets on referrer_sets.build_id = standing.id
    where referrer_sets.state in ('REQUESTED', 'MAKING')
    union all
    select distinct standing.id, 'publishing', 'its image is being pushed to another registry'
    from standing join publications on publications.build_id = standing.id
    where publications.state in ('REQUESTED', 'MAKING')
    union all
    select id, 'fresh', 'it ended just now'
    from standing where ended_on > clock_timestamp() - make_interval(secs => :grace)
    union all
    select distinct standing.id, 'asked', 'something of it was made just now'
    from standing join build_artifacts on build_artifacts.build_id = standing.id
    where build_artifacts.ready_on > clock_timestamp() - make_interval(secs => :grace)
    union all
    select id, 'on-demand', 'an image by packages that was used lately'
    from standing where dynamic and {used_on} > clock_timestamp() - make_interval(secs => :on_demand)
)
"""
#: when an image by packages was last wanted
USED_ON = "greatest(ended_on, (select last_pulled_on from on_demand_pulls where build_id = standing.id))"
_WITH_ROOTS = _ROOTS.format(used_on=USED_ON)


@dataclass(frozen=True)
class Root:
    """`kind` is a word for programs, `detail` for people."""

    build_id: int
    kind: str
    detail: str


def gather(session: Session, retention: Retention) -> None:
    """For the rest of the transaction: tables `kept` (build_id) and `kept_locks` (lock_id); anew at each call."""
    session.execute(text("drop table if exists pg_temp.kept, pg_temp.kept_locks"))
    for table, column in (("kept", "build_id"), ("kept_locks", "lock_id")):
        session.execute(text(f"create temporary table {table} ({column} bigint primary key) on commit drop"))
    session.execute(text(f"{_WITH_ROOTS} insert into kept select distinct build_id from roots"), _parameters(retention))
    session.execute(
        text(
            "insert into kept_locks select distinct lock_id from lock_platforms where build_id in "
            "(select build_id from kept)"
        )
    )
    session.execute(text("analyze kept"))
    session.execute(text("analyze kept_locks"))


def of_builds(session: Session, builds: list[int], retention: Retention) -> list[Root]:
    """Every root of any of the builds."""
    query = text(
        f"{_WITH_ROOTS} select build_id, kind, detail from roots where build_id = any(:builds) "
        "order by build_id, kind, detail"
    )
    return [Root(*row) for row in session.execute(query, {**_parameters(retention), "builds": builds})]


def counts(session: Session, retention: Retention) -> dict[str, int]:
    """How many builds each kind of root keeps."""
    query = text(f"{_WITH_ROOTS} select kind, count(distinct build_id) from roots group by kind order by kind")
    return {row[0]: int(row[1]) for row in session.execute(query, _parameters(retention))}


def _parameters(retention: Retention) -> dict[str, Any]:
    return {
        "dynamic": on_demand.NAMESPACE,
        "generations": retention.generations,
        "grace": retention.grace,
        "on_demand": retention.on_demand,
    }
