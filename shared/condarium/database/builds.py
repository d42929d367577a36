"""Questions about builds, and their legal moves. Whoever moves a build holds its row."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, contains_eager

from condarium.database import leases, outbox
from condarium.database.tables import Build, Environment, LockPlatform, LockRow, Namespace
from condarium.domain.build import FINAL, Status, may_move
from condarium.domain.lock import Lock
from condarium.errors import Conflict, InvalidInput, NotFound
from condarium.events import BuildCanceled, BuildEvent, BuildQueued

E = TypeVar("E", bound=BuildEvent)

CLAIMABLE = leases.Claimable(
    table=Build,
    ready=Build.status == Status.QUEUED,
    running=Build.status == Status.BUILDING,
    order=(Build.priority.desc(), Build.id),
    values={"status": Status.BUILDING.value},
)

#: conda-store's words
MISSING = "build id does not exist"


def _whole() -> Select[Build]:
    """Builds with their environment, namespace and specification."""
    return (
        select(Build)
        .join(Build.environment)
        .join(Environment.namespace)
        .join(Build.specification)
        .options(
            contains_eager(Build.environment).contains_eager(Environment.namespace), contains_eager(Build.specification)
        )
    )


def load(session: Session, build_id: int, *, lock: bool = False) -> Build:
    """The build with its environment, namespace and specification; `lock` holds its row. Raises NotFound."""
    query = _whole().where(Build.id == build_id, Build.deleted_on.is_(None))
    if lock:
        query = query.with_for_update(of=Build, key_share=True).execution_options(populate_existing=True)
    found = session.execute(query).scalar_one_or_none() if 0 < build_id < 2**63 else None
    if found is None:
        raise NotFound(MISSING)
    return found


def load_claimed(session: Session, held: leases.Claim) -> Build:
    """The row of a claim, locked, with what it belongs to, deleted or not. Raises LeaseLost."""
    leases.guard(session, CLAIMABLE, held)
    return session.execute(_whole().where(Build.id == held.id)).scalar_one()


def unfinished(session: Session, environment: Environment) -> list[Build]:
    """The builds of an environment that have not ended, their rows locked, with what they belong to."""
    return _unfinished(session, Build.environment_id == environment.id)


def unfinished_of(session: Session, namespace: Namespace) -> list[Build]:
    """As `unfinished`, of all environments of a namespace."""
    return _unfinished(session, Environment.namespace_id == namespace.id)


def _unfinished(session: Session, where: ColumnElement[bool]) -> list[Build]:
    query = (
        _whole()
        .where(where, Build.status.not_in(FINAL))
        .order_by(Build.id)
        .with_for_update(of=Build, key_share=True)
        .execution_options(populate_existing=True)
    )
    return list(session.execute(query).scalars())


def locks(session: Session, build_id: int) -> dict[str, Lock]:
    """The lock of each platform; empty until the build is solved."""
    rows = session.execute(
        select(LockPlatform.platform, LockRow.content)
        .join(LockRow, LockRow.id == LockPlatform.lock_id)
        .where(LockPlatform.build_id == build_id)
        .order_by(LockPlatform.platform)
    )
    return {row.platform: Lock.from_json(row.content) for row in rows}


def lock_hashes(session: Session, build_id: int) -> dict[str, str]:
    """The hash of each platform's lock."""
    rows = session.execute(
        select(LockPlatform.platform, LockRow.sha256)
        .join(LockRow, LockRow.id == LockPlatform.lock_id)
        .where(LockPlatform.build_id == build_id)
    )
    return {row.platform: row.sha256 for row in rows}


def event(session: Session, build: Build, cls: type[E], *, actor: str, **more: Any) -> E:
    """An event of class `cls` about a build whose environment and specification are loaded."""
    hashes: Mapping[str, str] = lock_hashes(session, build.id)
    return cls(
        namespace=build.environment.namespace.name,
        environment=build.environment.name,
        actor=actor,
        build=build.id,
        generation=build.generation,
        specification=build.specification.sha256,
        locks=hashes,
        **more,
    )


def move(session: Session, build: Build, to: Status) -> None:
    """Sets the state, and the time of an end. Raises Conflict for an illegal move."""
    if not may_move(Status(build.status), to):
        raise Conflict(f"build {build.id} is {build.status}; it cannot become {to}")
    build.status = to.value
    if to in FINAL:
        build.ended_on = session.execute(select(func.clock_timestamp())).scalar_one()
        leases.release(build)


def cancel(session: Session, build: Build, *, actor: str, source: str = "api") -> None:
    """Ends a queued build at once; asks the owner of a running one to end it. Twice is harmless.

    Raises Conflict when the build has ended already.
    """
    if build.status == Status.CANCELED:
        return
    if build.status in FINAL:
        raise Conflict(f"build {build.id} has ended: it is {build.status}")
    running = build.status == Status.BUILDING
    build.cancel_requested_at = session.execute(select(func.clock_timestamp())).scalar_one()
    if not running:
        move(session, build, Status.CANCELED)
        build.status_info = f"canceled by {actor}"
    outbox.add(session, event(session, build, BuildCanceled, actor=actor, requested=running), source=source)


def retry(session: Session, build: Build, *, actor: str, source: str = "api") -> None:
    """A person asks for another try of the same build: its attempts count anew.

    Raises Conflict unless it has failed or was canceled.
    """
    if build.status not in (Status.FAILED, Status.CANCELED):
        raise Conflict(f"build {build.id} is {build.status}; only a failed or canceled build can be tried again")
    move(session, build, Status.QUEUED)
    build.attempts_before = build.attempt
    build.cancel_requested_at = build.ended_on = build.not_before = build.status_info = build.reason = None
    outbox.add(session, event(session, build, BuildQueued, actor=actor), source=source)


def delete(session: Session, build: Build) -> None:
    """Soft delete of a build that nothing points to; raises InvalidInput, in conda-store's words, before its end."""
    if build.status not in (Status.COMPLETED, Status.FAILED):
        raise InvalidInput("cannot delete build since not finished building")
    build.deleted_on = session.execute(select(func.clock_timestamp())).scalar_one()


def queue_depth(session: Session) -> int:
    """Builds that wait for a builder."""
    return session.execute(select(func.count()).where(Build.status == Status.QUEUED)).scalar_one()
