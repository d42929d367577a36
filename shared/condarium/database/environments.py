"""Questions about environments, and what changes where they point."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, contains_eager

from condarium.database import builds, outbox, publications
from condarium.database.tables import Build, Environment, Namespace
from condarium.domain.build import EXCLUDE_NEWER, Status, takes_over
from condarium.errors import InvalidInput, NotFound
from condarium.events import EnvironmentDeleted, EnvironmentUpdated

_TRIES = 3

#: until a build has completed, clients are shown the newest one as current: the web UI follows what is current
SHOWN_BUILD = func.coalesce(
    Environment.current_build_id,
    select(Build.id)
    .where(
        Build.environment_id == Environment.id,
        Build.generation == Environment.last_generation,
        Build.deleted_on.is_(None),
    )
    .correlate(Environment)
    .scalar_subquery(),
).label("current_build_id")


def find(session: Session, namespace: str, name: str, *, lock: bool = False) -> Environment | None:
    """The environment with its namespace loaded; `lock` holds its row for this transaction."""
    query = (
        select(Environment)
        .join(Environment.namespace)
        .options(contains_eager(Environment.namespace))
        .where(
            Namespace.name == namespace,
            Namespace.deleted_on.is_(None),
            Environment.name == name,
            Environment.deleted_on.is_(None),
        )
    )
    if lock:
        query = query.with_for_update(of=Environment, key_share=True).execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def load(session: Session, namespace: str, name: str, *, lock: bool = False) -> Environment:
    """As `find`; raises NotFound."""
    found = find(session, namespace, name, lock=lock)
    if found is None:
        raise NotFound("environment does not exist")
    return found


def shown_build(session: Session, environment: Environment) -> int | None:
    """The build that clients see as current: until one has completed, the newest; see `SHOWN_BUILD`."""
    return session.execute(select(SHOWN_BUILD).where(Environment.id == environment.id)).scalar_one_or_none()


def ensure(session: Session, namespace: Namespace, name: str, *, actor: str) -> Environment:
    """The environment, made when it is not there, its row locked for this transaction."""
    making = (
        insert(Environment)
        .values(namespace_id=namespace.id, name=name, created_by=actor)
        .on_conflict_do_nothing(index_elements=["namespace_id", "name"], index_where=Environment.deleted_on.is_(None))
    )
    # One that is deleted while we wait for its row makes room for a new one.
    for _ in range(_TRIES):
        session.execute(making)
        found = find(session, namespace.name, name, lock=True)
        if found is not None:
            return found
    return load(session, namespace.name, name, lock=True)


def point_to(session: Session, environment: Environment, build: Build, *, actor: str, source: str) -> bool:
    """After a completion: makes `build` the current one unless a newer one or a rollback stands.

    What channels had on an earlier day is no newer state of an environment: such a build stands beside.
    The environment's row must be locked. Returns whether the environment points to the build now.
    """
    if EXCLUDE_NEWER in build.settings:
        return False
    if not takes_over(generation=build.generation, floor=environment.generation_floor):
        return False
    environment.generation_floor = build.generation
    _set_current(session, environment, build, actor=actor, source=source)
    return True


def roll_back(session: Session, environment: Environment, build: Build, *, actor: str, source: str = "api") -> None:
    """Makes any completed build the current one, and keeps builds that are under way from undoing it.

    The environment's row must be locked. Raises InvalidInput, in conda-store's words, when the build is not this
    environment's or not completed.
    """
    if build.environment_id != environment.id or build.deleted_on is not None:
        raise InvalidInput("cannot update environment to build id since specification does not match environment name")
    if build.status != Status.COMPLETED:
        raise InvalidInput("cannot update environment to build id since not completed")
    environment.generation_floor = environment.last_generation
    _set_current(session, environment, build, actor=actor, source=source)
    publications.again(session, build.id)


def point_nowhere(session: Session, environment: Environment, *, actor: str, source: str = "api") -> None:
    """Takes the current build away, before it is deleted. The environment's row must be locked."""
    environment.current_build_id = None
    environment.updated_on = session.execute(select(func.clock_timestamp())).scalar_one()
    _updated(session, environment, environment.generation_floor, actor=actor, source=source)


def _set_current(session: Session, environment: Environment, build: Build, *, actor: str, source: str) -> None:
    environment.current_build_id = build.id
    environment.updated_on = session.execute(select(func.clock_timestamp())).scalar_one()
    _updated(session, environment, build.generation, actor=actor, source=source)


def describe(session: Session, environment: Environment, text: str, *, actor: str, source: str = "api") -> None:
    """Changes the description; nothing is built for it."""
    environment.description = text
    environment.updated_on = session.execute(select(func.clock_timestamp())).scalar_one()
    _updated(session, environment, environment.generation_floor, actor=actor, source=source)


def _updated(session: Session, environment: Environment, generation: int, *, actor: str, source: str) -> None:
    outbox.add(
        session,
        EnvironmentUpdated(
            namespace=environment.namespace.name,
            environment=environment.name,
            actor=actor,
            build=environment.current_build_id,
            generation=generation,
        ),
        source=source,
    )


def delete(session: Session, environment: Environment, *, actor: str, source: str = "api") -> None:
    """Soft delete: the name is free at once, builds under way are canceled, the symlink goes by the event.

    The environment's row must be locked.
    """
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    environment.deleted_on = now
    environment.current_build_id = None
    for build in builds.unfinished(session, environment):
        builds.cancel(session, build, actor=actor, source=source)
        build.status_info = "the environment was deleted"
    session.flush()
    session.execute(
        update(Build)
        .where(Build.environment_id == environment.id, Build.deleted_on.is_(None))
        .values(deleted_on=now)
        .execution_options(synchronize_session=False)
    )
    outbox.add(
        session,
        EnvironmentDeleted(namespace=environment.namespace.name, environment=environment.name, actor=actor),
        source=source,
    )


def lock_row(session: Session, environment_id: int) -> Environment:
    """The environment, deleted or not, with its namespace; its row is held for this transaction."""
    return session.execute(
        select(Environment)
        .join(Environment.namespace)
        .options(contains_eager(Environment.namespace))
        .where(Environment.id == environment_id)
        .with_for_update(of=Environment, key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one()


def builds_of(session: Session, environment_id: int) -> list[int]:
    """The ids of its builds that are not deleted, the oldest first."""
    query = select(Build.id).where(Build.environment_id == environment_id, Build.deleted_on.is_(None))
    return list(session.execute(query.order_by(Build.id)).scalars())
