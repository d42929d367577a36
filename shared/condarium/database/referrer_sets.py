"""Referrers that are to be made: a claimable row for each build, beside the artifacts and not shown among them."""

from sqlalchemy import and_, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import leases, publications
from condarium.database.tables import Build, ReferrerSet
from condarium.domain.build import Status

#: woken when there is something to make; the payload is the build's id
CHANNEL = "condarium_referrers"

#: The log is whole, and the times of the provenance are known, when the build is completed; nothing else is signed.
CLAIMABLE = leases.Claimable(
    table=ReferrerSet,
    ready=and_(
        ReferrerSet.state == "REQUESTED",
        exists().where(Build.id == ReferrerSet.build_id, Build.status == Status.COMPLETED, Build.deleted_on.is_(None)),
    ),
    running=ReferrerSet.state == "MAKING",
    order=(ReferrerSet.id,),
    values={"state": "MAKING"},
)


def request(session: Session, build_id: int, *, actor: str = "system") -> None:
    """The referrers of a build's images, once more if they are there: called when its image becomes ready."""
    values = {"state": "REQUESTED", "attempt": 0, "owner": None, "lease_until": None, "not_before": None}
    session.execute(
        insert(ReferrerSet)
        .values(build_id=build_id, created_by=actor)
        .on_conflict_do_update(index_elements=["build_id"], set_={**values, "reason": None})
    )
    session.execute(select(func.pg_notify(CHANNEL, str(build_id))))


def request_again(session: Session, fingerprint: str) -> int:
    """All that was last signed by another key, and what has failed; returns how many."""
    done = session.execute(
        update(ReferrerSet)
        .where(
            ReferrerSet.state.in_(("READY", "FAILED")),
            ReferrerSet.fingerprint.is_distinct_from(fingerprint),
            exists().where(Build.id == ReferrerSet.build_id, Build.deleted_on.is_(None)),
        )
        .values(state="REQUESTED", attempt=0, reason=None, not_before=None)
        .returning(ReferrerSet.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.execute(select(func.pg_notify(CHANNEL, "0")))
    return len(done)


def build_of(session: Session, held: leases.Claim) -> int:
    return session.execute(select(ReferrerSet.build_id).where(ReferrerSet.id == held.id)).scalar_one()


def state_of(session: Session, build_id: int) -> ReferrerSet | None:
    """How the referrers of a build stand."""
    return session.execute(select(ReferrerSet).where(ReferrerSet.build_id == build_id)).scalar_one_or_none()


def finish(session: Session, held: leases.Claim, *, fingerprint: str) -> None:
    """They are there, signed by the key of that fingerprint. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.reason, row.fingerprint = "READY", None, fingerprint
    row.made_on = session.execute(select(func.clock_timestamp())).scalar_one()
    leases.release(row)
    publications.wake(session)


def fail(session: Session, held: leases.Claim, message: str) -> None:
    """Final, until the image is made anew or an administrator asks for signing. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.reason = "FAILED", message
    leases.release(row)
    publications.wake(session)
