"""Artifacts: asked for by builder, gateway and registry, made by packagers, each a claimable row."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased, contains_eager

from condarium.database import builds, inbox, leases, outbox, publications
from condarium.database.garbage import marks
from condarium.database.tables import Build, BuildArtifact, Environment, LockPlatform
from condarium.domain.artifact import IMAGES, UNFINISHED, ArtifactState, ArtifactType
from condarium.domain.build import FINAL, Status
from condarium.errors import Conflict, LeaseLost
from condarium.events import ArtifactEvent, ArtifactFailed, ArtifactReady, ArtifactRequested, EnvironmentReady

E = TypeVar("E", bound=ArtifactEvent)

_OTHER = aliased(BuildArtifact)
_SOLVED = exists().where(LockPlatform.build_id == BuildArtifact.build_id)
_ENDED = exists().where(Build.id == BuildArtifact.build_id, Build.status.in_(FINAL))
_OTHERS_UNFINISHED = exists().where(
    _OTHER.build_id == BuildArtifact.build_id,
    _OTHER.artifact_type.not_in([*IMAGES, ArtifactType.LOGS]),
    _OTHER.state.in_(UNFINISHED),
)

#: The log is joined when the build has ended; the rest needs its locks, or its end to be told that there are none.
#: The image comes after all others of its build unless somebody waits for it.
_READY = and_(
    BuildArtifact.state == ArtifactState.REQUESTED,
    or_(_ENDED, and_(_SOLVED, BuildArtifact.artifact_type != ArtifactType.LOGS)),
    or_(BuildArtifact.artifact_type.not_in(IMAGES), BuildArtifact.priority > 0, ~_OTHERS_UNFINISHED),
)

CLAIMABLE = leases.Claimable(
    table=BuildArtifact,
    ready=_READY,
    running=BuildArtifact.state == ArtifactState.MAKING,
    order=(BuildArtifact.priority.desc(), BuildArtifact.id),
    values={"state": ArtifactState.MAKING.value, "claimed_on": func.clock_timestamp()},
)


def find(session: Session, build_id: int, artifact_type: ArtifactType) -> BuildArtifact | None:
    return session.execute(
        select(BuildArtifact).where(
            BuildArtifact.build_id == build_id, BuildArtifact.artifact_type == artifact_type.value
        )
    ).scalar_one_or_none()


def of_build(session: Session, build_id: int) -> list[BuildArtifact]:
    """All that was asked for of a build, in the order of asking."""
    return list(
        session.execute(
            select(BuildArtifact).where(BuildArtifact.build_id == build_id).order_by(BuildArtifact.id)
        ).scalars()
    )


def request_eager(
    session: Session, build: Build, types: Iterable[str], *, same_locks: bool = False, actor: str = "system"
) -> None:
    """What is made without being asked: called in the transaction that stores the locks.

    What an earlier attempt of the build had made is asked for anew, unless it was made of the same locks: then only
    its log, which has grown, and what could not be made.
    """
    stays = (
        (ArtifactState.REQUESTED, ArtifactState.READY, ArtifactState.MAKING)
        if same_locks
        else (ArtifactState.REQUESTED,)
    )
    for row in of_build(session, build.id):
        if row.state not in stays or (row.state == ArtifactState.READY and row.artifact_type == ArtifactType.LOGS):
            _reset(row)
    _insert(session, build.id, [ArtifactType(name) for name in types], actor=actor)


def request_log(session: Session, build: Build, types: Iterable[str], *, actor: str = "system") -> None:
    """The log of a build that has ended without success, if it is among the eager `types`; in the same transaction."""
    if ArtifactType.LOGS not in types:
        return
    known = find(session, build.id, ArtifactType.LOGS)
    if known is not None and known.state != ArtifactState.REQUESTED:
        _reset(known)
    _insert(session, build.id, [ArtifactType.LOGS], actor=actor)


def request(
    session: Session, build: Build, artifact_type: ArtifactType, *, actor: str, source: str, priority: int = 0
) -> BuildArtifact:
    """Asks for an artifact of a build (`builds.load`); asking twice is asking once, with the higher priority.

    Returns the row as it is: READY and FAILED ones stay so.
    """
    new = _insert(session, build.id, [artifact_type], actor=actor, priority=priority)
    row = session.execute(
        select(BuildArtifact)
        .where(BuildArtifact.build_id == build.id, BuildArtifact.artifact_type == artifact_type.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()
    raised = row.state in UNFINISHED and priority > row.priority
    if raised:
        row.priority = priority
    if new or raised:
        _requested(session, build, row, actor=actor, source=source)
    return row


def retry(session: Session, build: Build, artifact_type: ArtifactType, *, actor: str, source: str) -> BuildArtifact:
    """A person asks for another try; attempts count anew. Raises Conflict unless it has failed."""
    row = session.execute(
        select(BuildArtifact)
        .where(BuildArtifact.build_id == build.id, BuildArtifact.artifact_type == artifact_type.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None or row.state != ArtifactState.FAILED:
        found = "was not asked for" if row is None else f"is {row.state}"
        raise Conflict(f"{artifact_type} of build {build.id} {found}; only a failed artifact can be tried again")
    _reset(row)
    _requested(session, build, row, actor=actor, source=source)
    return row


def load_claimed(session: Session, held: leases.Claim) -> tuple[ArtifactType, Build]:
    """What a claim of this transaction is about: the type, and the build with what it belongs to, deleted or not."""
    kind, build_id = session.execute(
        select(BuildArtifact.artifact_type, BuildArtifact.build_id).where(BuildArtifact.id == held.id)
    ).one()
    return ArtifactType(kind), load_build(session, build_id)


def load_build(session: Session, build_id: int) -> Build:
    """The build of an artifact with what it belongs to, deleted or not."""
    query = (
        select(Build)
        .join(Build.environment)
        .join(Environment.namespace)
        .join(Build.specification)
        .options(
            contains_eager(Build.environment).contains_eager(Environment.namespace), contains_eager(Build.specification)
        )
        .where(Build.id == build_id)
    )
    return session.execute(query).scalar_one()


def ready(
    session: Session,
    held: leases.Claim,
    build: Build,
    *,
    digest: str,
    size: int,
    key: str | None = None,
    note: str | None = None,
) -> None:
    """What is served is there: `digest` its sha256 in hex (a manifest's for an image), `size` in bytes.

    `key` is where storage has it, None for what is put together when it is served; `note` says what it lacks.

    Raises LeaseLost; then nothing is written. Raises marks.Deleting; see `marks.hold`.
    """
    if key is not None:
        marks.hold(session, [key])
    kind = _finish(
        session,
        held,
        state=ArtifactState.READY.value,
        reason=note,
        key=key,
        digest=digest,
        size=size,
        ready_on=func.clock_timestamp(),
        owner=None,
        lease_until=None,
    )
    event = _event(ArtifactReady, build, kind, digest=f"sha256:{digest}", size=size)
    outbox.add(session, event, source="packager")
    announce(session, build)


def fail(session: Session, held: leases.Claim, build: Build, *, message: str) -> None:
    """Final, until a person asks for a retry. Raises LeaseLost."""
    kind = _finish(session, held, state=ArtifactState.FAILED.value, reason=message, owner=None, lease_until=None)
    outbox.add(session, _event(ArtifactFailed, build, kind, message=message), source="packager")
    announce(session, build)


def postpone(session: Session, held: leases.Claim, *, seconds: float, message: str) -> None:
    """Gives the artifact back, to be tried again in `seconds`; `message` says what failed. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.reason = ArtifactState.REQUESTED.value, message
    leases.postpone(session, row, seconds=seconds)


def give_back(session: Session, held: leases.Claim) -> None:
    """Another worker may take it at once; this attempt does not count. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state = ArtifactState.REQUESTED.value
    row.attempt -= 1
    leases.release(row)


def announce(session: Session, build: Build) -> None:
    """Emits environment.ready when the build is completed and all that was asked of it is final; once for the same.

    Called by whoever makes one of the two true, in the transaction that does.
    """
    # Two artifacts that become final at the same time must see each other.
    session.execute(select(func.pg_advisory_xact_lock(_READY_LOCK, build.id % 2**31)))
    session.flush()
    if publications.expect(session, build.id):
        _insert(session, build.id, [ArtifactType.DOCKER_MANIFEST], actor="system")
    rows = session.execute(
        select(BuildArtifact.artifact_type, BuildArtifact.state, BuildArtifact.attempt)
        .join(Build, Build.id == BuildArtifact.build_id)
        .where(Build.id == build.id, Build.status == Status.COMPLETED, Build.deleted_on.is_(None))
        .order_by(BuildArtifact.artifact_type)
    ).all()
    if not rows or any(row.state in UNFINISHED for row in rows):
        return
    said = ",".join(f"{row.artifact_type}:{row.state}:{row.attempt}" for row in rows)
    event_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{build.id}/{said}")
    if not inbox.first_time(session, consumer="environment.ready", event_id=event_id):
        return
    failed = tuple(row.artifact_type for row in rows if row.state == ArtifactState.FAILED)
    event = builds.event(session, build, EnvironmentReady, actor="system", failed=failed)
    outbox.add(session, event, source="packager")


_READY_LOCK = 0x656E7672


def queue_depth(session: Session) -> int:
    """Artifacts that wait for a packager, or for what must come before them."""
    return session.execute(select(func.count()).where(BuildArtifact.state == ArtifactState.REQUESTED)).scalar_one()


def _finish(session: Session, held: leases.Claim, **values: Any) -> str:
    """Ends a claim in one statement; returns the artifact's type. Raises LeaseLost."""
    kind = session.execute(
        update(BuildArtifact)
        .where(
            BuildArtifact.id == held.id,
            BuildArtifact.owner == held.owner,
            BuildArtifact.attempt == held.attempt,
            BuildArtifact.state == ArtifactState.MAKING,
        )
        .values(**values)
        .returning(BuildArtifact.artifact_type)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if kind is None:
        raise LeaseLost(f"artifact {held.id}: attempt {held.attempt} is no longer ours")
    return str(kind)


def _insert(session: Session, build_id: int, types: Sequence[ArtifactType], *, actor: str, priority: int = 0) -> bool:
    """Adds the rows that are not there yet; whether there was one to add."""
    if not types:
        return False
    added = session.execute(
        insert(BuildArtifact)
        .values(
            [
                {"build_id": build_id, "artifact_type": kind.value, "priority": priority, "created_by": actor}
                for kind in types
            ]
        )
        .on_conflict_do_nothing(index_elements=["build_id", "artifact_type"])
        .returning(BuildArtifact.id)
    ).all()
    return bool(added)


def _reset(row: BuildArtifact) -> None:
    row.state = ArtifactState.REQUESTED.value
    row.attempt = 0
    row.reason = row.key = row.digest = row.size = row.ready_on = row.not_before = None
    leases.release(row)


def _event(cls: type[E], build: Build, kind: str, *, actor: str = "system", **more: Any) -> E:
    return cls(
        namespace=build.environment.namespace.name,
        environment=build.environment.name,
        actor=actor,
        build=build.id,
        artifact=kind,
        **more,
    )


def _requested(session: Session, build: Build, row: BuildArtifact, *, actor: str, source: str) -> None:
    outbox.add(session, _event(ArtifactRequested, build, row.artifact_type, actor=actor), source=source)
