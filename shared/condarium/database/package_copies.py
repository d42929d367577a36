"""Packages that `oci://` channels serve: which an environment may name, and their copies in storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import leases, outcomes
from condarium.database.garbage import marks
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.database.tables import Build, Environment, LockPackage, LockPlatform, LockRow, Namespace, PackageCopy
from condarium.domain.artifact import ArtifactState
from condarium.domain.lock import Record
from condarium.domain.oci_channel import Parts

#: woken when a package waits for a packager
ASKED_CHANNEL = "condarium_packages_asked"
#: woken when a package has come, or cannot come
ANSWERED_CHANNEL = "condarium_packages"
#: what failed is tried again when somebody asks after this long
AGAIN_SECONDS = 30.0

CLAIMABLE = leases.Claimable(
    table=PackageCopy,
    ready=PackageCopy.state == ArtifactState.REQUESTED,
    running=PackageCopy.state == ArtifactState.MAKING,
    order=(PackageCopy.id,),
    values={"state": ArtifactState.MAKING.value},
)


@dataclass(frozen=True)
class Copy:
    """How a copy stands: `parts` once it is READY, `reason` why it failed or what is tried again.

    `rested` says that it was not used for an hour or more: whether the bytes are still there should be looked at.
    """

    id: int
    state: ArtifactState
    reason: str | None
    parts: Parts | None
    rested: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a claim is about, and whose credentials it is fetched with."""

    namespace: str
    url: str
    sha256: str
    size: int


def records(session: Session, environment_id: int, names: Sequence[str], subdir: str) -> list[Record]:
    """Every package of these names that a build of the environment has, whichever it is; those of newer ones first."""
    locks = (
        select(LockRow.id, func.max(Build.generation).label("generation"))
        .join(LockPlatform, LockPlatform.lock_id == LockRow.id)
        .join(Build, Build.id == LockPlatform.build_id)
        .join(LockPackage, LockPackage.lock_id == LockRow.id)
        .where(
            Build.environment_id == environment_id,
            Build.deleted_on.is_(None),
            LockPackage.name.in_(names),
            LockPackage.kind == "conda",
        )
        .group_by(LockRow.id)
        .subquery()
    )
    element = func.jsonb_array_elements(LockRow.content["conda"]).table_valued("value").lateral()
    query = (
        select(element.c.value)
        .select_from(LockRow)
        .join(locks, locks.c.id == LockRow.id)
        .join(element, true())
        .where(
            element.c.value.op("->>")("name").in_(names),
            element.c.value.op("->>")("subdir") == subdir,
        )
        .order_by(locks.c.generation.desc(), LockRow.platform)
    )
    found: dict[tuple[str, str], Record] = {}
    for raw in session.execute(query).scalars():
        record = Record(raw)
        found.setdefault((record.filename, record.sha256), record)
    return list(found.values())


def demand(session: Session, environment: Environment, record: Record, *, actor: str) -> Copy:
    """Asks for a package of a lock, unless it is there, and says how it stands."""
    where = (PackageCopy.namespace_id == environment.namespace_id, PackageCopy.sha256 == record.sha256)
    row = session.execute(select(PackageCopy).where(*where)).scalar_one_or_none()
    if row is not None and (row.state != ArtifactState.FAILED or not _is_old(session, row)):
        return _copy(row, rested=_used(session, row))
    made = session.execute(
        insert(PackageCopy)
        .values(
            namespace_id=environment.namespace_id,
            sha256=record.sha256,
            url=record.url,
            size=record.size,
            created_by=actor,
        )
        .on_conflict_do_nothing(index_elements=["namespace_id", "sha256"])
        .returning(PackageCopy.id)
    ).scalar_one_or_none()
    row = session.execute(
        select(PackageCopy).where(*where).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    if made is None and row.state == ArtifactState.FAILED:
        outcomes.reset(row)
        row.url, row.size = record.url, record.size
    session.flush()
    session.execute(select(func.pg_notify(ASKED_CHANNEL, str(row.id))))
    return _copy(row)


def lost(session: Session, copy: Copy) -> None:
    """Its bytes are no longer in storage: it is asked for again."""
    done = session.execute(
        update(PackageCopy)
        .where(PackageCopy.id == copy.id, PackageCopy.state == ArtifactState.READY)
        .values(state=ArtifactState.REQUESTED.value, attempt=0, parts={})
    )
    if done.rowcount:  # type: ignore[attr-defined]
        session.execute(select(func.pg_notify(ASKED_CHANNEL, str(copy.id))))


def load_claimed(session: Session, held: leases.Claim) -> Wanted:
    """What a claim of this transaction is about."""
    row = session.execute(
        select(Namespace.name, PackageCopy.url, PackageCopy.sha256, PackageCopy.size)
        .join(Namespace, Namespace.id == PackageCopy.namespace_id)
        .where(PackageCopy.id == held.id)
    ).one()
    return Wanted(*row)


def ready(session: Session, held: leases.Claim, parts: Parts) -> None:
    """Its bytes are in storage. Raises LeaseLost, and marks.Deleting (see `marks.hold`); then nothing is written."""
    row = leases.guard(session, CLAIMABLE, held)
    marks.hold(session, [f"{CONTENT_PREFIX}{part.digest}" for part in (parts.archive, parts.info, parts.index)])
    row.state, row.reason, row.parts = ArtifactState.READY.value, None, parts.to_json()
    row.used_on = session.execute(select(func.clock_timestamp())).scalar_one()
    _end(session, row)


def fail(session: Session, held: leases.Claim, message: str) -> None:
    """Until somebody asks again, AGAIN_SECONDS later at the earliest. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.reason = ArtifactState.FAILED.value, message
    row.failed_on = session.execute(select(func.clock_timestamp())).scalar_one()
    _end(session, row)


def _end(session: Session, row: Any) -> None:
    leases.release(row)
    session.flush()
    session.execute(select(func.pg_notify(ANSWERED_CHANNEL, str(row.id))))


def _is_old(session: Session, row: PackageCopy) -> bool:
    since = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, AGAIN_SECONDS)
    return session.execute(select(PackageCopy.failed_on < since).where(PackageCopy.id == row.id)).scalar_one() is True


def _used(session: Session, row: PackageCopy) -> bool:
    """Within the hour: a write for each pull would be too much. Whether this was the first use for as long."""
    since = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 1)
    done = session.execute(
        update(PackageCopy)
        .where(PackageCopy.id == row.id, PackageCopy.used_on < since)
        .values(used_on=func.clock_timestamp())
        .returning(PackageCopy.id)
        .execution_options(synchronize_session=False)
    ).first()
    if done is not None:
        marks.clear(session, marks.BLOB, [f"{CONTENT_PREFIX}{digest}" for digest, _ in row.parts.values()])
    return done is not None


def _copy(row: PackageCopy, *, rested: bool = False) -> Copy:
    state = ArtifactState(row.state)
    parts = Parts.from_json(row.parts) if state == ArtifactState.READY else None
    return Copy(row.id, state, row.reason, parts, rested)
