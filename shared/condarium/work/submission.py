"""The one way in: the gateway, the watcher and the registry submit specifications with the same function."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import builds, environments, namespaces, outbox
from condarium.database.tables import Build, Environment
from condarium.database.tables import Specification as SpecificationRow
from condarium.domain.build import Status
from condarium.domain.lockfile import LockedSpecification
from condarium.domain.naming import build_key, check_name
from condarium.domain.specification import Specification
from condarium.events import BuildQueued
from condarium.work import policy


@dataclass(frozen=True)
class Submitted:
    """What came of it; `key` is the build key."""

    build_id: int
    environment_id: int
    generation: int
    key: str


def submit(
    session: Session,
    specification: Specification | LockedSpecification,
    *,
    namespace: str,
    actor: str,
    source: str,
    description: str | None = None,
    priority: int = 0,
    deployment: Mapping[str, Any] = policy.UNKNOWN,
    besides: Mapping[str, Any] = policy.UNKNOWN,
) -> Submitted:
    """Asks for a build: namespace, environment, specification, build and event in this one transaction.

    The same specification twice makes two builds, as conda-store's clients expect. `source` is the service,
    `deployment` the settings of its deployment (`Deployment.values`). What is built is what the settings make of the
    specification now; a later change of theirs does not reach it. `besides` is kept with them (`Build.settings`),
    and is part of what is asked for.

    Raises InvalidInput when the namespace or the environment cannot be named so; PolicyError and QuotaExceeded.
    """
    check_name("environment", specification.name)
    space = namespaces.ensure(session, namespace, actor=actor)
    settled = policy.settle(session, space, specification, deployment=deployment)
    policy.admit(session, space, deployment=deployment)
    specification = settled.specification
    if besides:
        specification = replace(specification, options={**specification.options, **besides})
    environment = environments.ensure(session, space, specification.name, actor=actor)
    wanted = specification.description if description is None else description
    if wanted or environment.last_generation == 0:
        environment.description = wanted
    row = _specification(session, specification, actor=actor)
    build = _build(session, environment, row, actor=actor, priority=priority, settings={**settled.engine, **besides})
    outbox.add(
        session,
        BuildQueued(
            namespace=namespace,
            environment=environment.name,
            actor=actor,
            build=build.id,
            generation=build.generation,
            specification=row.sha256,
            locks={},
        ),
        source=source,
    )
    return Submitted(build.id, environment.id, build.generation, build.key)


def submit_again(
    session: Session, build: Build, *, actor: str, source: str, deployment: Mapping[str, Any] = policy.UNKNOWN
) -> Submitted:
    """A new build of the specification of `build`, whose environment and specification are loaded.

    It is what was settled then, with the settings of then. Raises PolicyError when that is not allowed any more,
    QuotaExceeded.
    """
    policy.check_again(session, build, deployment=deployment)
    # It may have been deleted since the build was loaded, and must not be while this goes on.
    space = namespaces.ensure(session, build.environment.namespace.name, actor=actor, reserved=True)
    policy.admit(session, space, deployment=deployment)
    environment = environments.ensure(session, space, build.environment.name, actor=actor)
    again = _build(
        session, environment, build.specification, actor=actor, priority=build.priority, settings=build.settings
    )
    again.environment, again.specification = environment, build.specification
    outbox.add(session, builds.event(session, again, BuildQueued, actor=actor), source=source)
    return Submitted(again.id, environment.id, again.generation, again.key)


def _specification(
    session: Session, specification: Specification | LockedSpecification, *, actor: str
) -> SpecificationRow:
    session.execute(
        insert(SpecificationRow)
        .values(
            sha256=specification.hash,
            name=specification.name,
            spec=specification.to_wire(),
            canonical=specification.canonical(),
            created_by=actor,
        )
        .on_conflict_do_nothing(index_elements=["sha256"])
    )
    return session.execute(select(SpecificationRow).where(SpecificationRow.sha256 == specification.hash)).scalar_one()


def _build(
    session: Session,
    environment: Environment,
    row: SpecificationRow,
    *,
    actor: str,
    priority: int,
    settings: Mapping[str, Any],
) -> Build:
    environment.last_generation += 1
    # The key holds the row's own id and the second of its scheduling, so both are drawn first.
    drawn = session.execute(select(func.nextval("builds_id_seq"), func.clock_timestamp())).one()
    build = Build(
        id=drawn[0],
        environment_id=environment.id,
        namespace_id=environment.namespace_id,
        specification_id=row.id,
        generation=environment.last_generation,
        key=build_key(row.sha256, int(drawn[1].timestamp()), drawn[0], environment.name),
        status=Status.QUEUED.value,
        scheduled_on=drawn[1],
        priority=priority,
        settings=dict(settings),
        created_by=actor,
    )
    session.add(build)
    session.flush()
    return build
