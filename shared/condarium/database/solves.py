"""Solves: asked for by the gateway, answered by a builder's child, shared by all who ask the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import leases
from condarium.database.tables import Solve
from condarium.domain.lock import Lock
from condarium.errors import TooManyRequests

#: woken when a solve waits for a builder
ASKED_CHANNEL = "condarium_solves_asked"
#: woken when a solve has an answer; the payload is its id
ANSWERED_CHANNEL = "condarium_solves"
#: the reason of a failure that may be gone the next time
WORLD = "world-fault"
#: answers are kept this long after somebody wanted them, and this many of them
KEEP_SECONDS, KEEP_ROWS = 6 * 3600.0, 1000


class SolveState(StrEnum):
    QUEUED = "QUEUED"
    SOLVING = "SOLVING"
    #: final until somebody asks after it has gone stale
    SOLVED = "SOLVED"
    FAILED = "FAILED"


PENDING = (SolveState.QUEUED, SolveState.SOLVING)

CLAIMABLE = leases.Claimable(
    table=Solve,
    ready=Solve.state == SolveState.QUEUED,
    running=Solve.state == SolveState.SOLVING,
    order=(Solve.wanted_until, Solve.id),
    values={"state": SolveState.SOLVING.value},
)
#: what nobody waits for any more is not begun
WANTED = Solve.wanted_until > func.clock_timestamp()


@dataclass(frozen=True)
class Question:
    """`spec` is a specification's wire form, `settings` what a build of it would be given (`Build.settings`), `sha256`
    the hash of all that decides the answer."""

    sha256: str
    namespace: str
    spec: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """How a solve stands; `locks` by platform once it is SOLVED, `reason` and `message` once it has FAILED."""

    id: int
    state: SolveState
    locks: Mapping[str, Lock]
    reason: str | None
    message: str | None


def ask(
    session: Session, question: Question, *, actor: str, fresh_seconds: float, wait_seconds: float, most_pending: int
) -> Asked:
    """Asks, unless an answer that is at most `fresh_seconds` old is there; whoever asks waits `wait_seconds` for it.

    Raises TooManyRequests when `actor` has `most_pending` other questions under way.
    """
    made = session.execute(
        insert(Solve)
        .values(
            question=question.sha256,
            namespace=question.namespace,
            spec=question.spec,
            settings=question.settings,
            wanted_until=_in(wait_seconds),
            created_by=actor,
        )
        .on_conflict_do_nothing(index_elements=["question"])
        .returning(Solve.id)
    ).scalar_one_or_none()
    row = _locked(session, Solve.question == question.sha256)
    if made is None:
        outdated = or_(Solve.answered_on.is_(None), Solve.answered_on < _in(-fresh_seconds), Solve.reason == WORLD)
        stale, unwanted = session.execute(select(outdated, ~WANTED).where(Solve.id == row.id)).one()
        pending = row.state in PENDING
        if not pending and not stale:
            return _asked(row)
        if pending and not unwanted:
            row.wanted_until = _in(wait_seconds)
            session.flush()
            return Asked(row.id, SolveState(row.state), {}, None, None)
        row.created_by, row.wanted_until = actor, _in(wait_seconds)
        if not pending:
            row.state, row.reason, row.message = SolveState.QUEUED.value, None, None
        session.flush()
    _check_pending(session, row.id, actor, most_pending)
    session.execute(select(func.pg_notify(ASKED_CHANNEL, str(row.id))))
    return Asked(row.id, SolveState.QUEUED, {}, None, None)


def look(session: Session, solve_id: int) -> Asked | None:
    """How it stands now; None when it was cleaned away."""
    row = session.execute(select(Solve).where(Solve.id == solve_id)).scalar_one_or_none()
    return None if row is None else _asked(row)


def load_claimed(session: Session, held: leases.Claim) -> Solve:
    """The row of a claim, locked. Raises LeaseLost."""
    row: Solve = leases.guard(session, CLAIMABLE, held)
    return row


def answered(session: Session, held: leases.Claim, locks: Mapping[str, Lock], repodata: str | None) -> None:
    """`repodata` is what the channels looked like before the solve. Raises LeaseLost; then nothing is written."""
    row = load_claimed(session, held)
    row.locks = {platform: lock.to_json() for platform, lock in locks.items()}
    row.repodata = repodata
    _end(session, row, SolveState.SOLVED)


def unchanged(session: Session, held: leases.Claim) -> None:
    """The channels are as they were: the answer of before stands. Raises LeaseLost."""
    _end(session, load_claimed(session, held), SolveState.SOLVED)


def failed(session: Session, held: leases.Claim, *, reason: str, message: str) -> None:
    """`reason` WORLD is no answer: whoever asks next has it tried again. Raises LeaseLost."""
    row = load_claimed(session, held)
    row.reason, row.message = reason, message
    if reason != WORLD:
        row.locks = row.repodata = None
    _end(session, row, SolveState.FAILED)


def give_back(session: Session, held: leases.Claim) -> None:
    """Another builder may take it at once. Raises LeaseLost."""
    row = load_claimed(session, held)
    row.state = SolveState.QUEUED.value
    leases.release(row)
    session.execute(select(func.pg_notify(ASKED_CHANNEL, str(row.id))))


def forget(session: Session) -> int:
    """Deletes what nobody has wanted for long, and the oldest of too many; returns how many."""
    idle = or_(Solve.state.not_in(PENDING), ~WANTED)
    newest = select(Solve.id).where(idle).order_by(Solve.wanted_until.desc()).limit(KEEP_ROWS)
    old = and_(idle, or_(Solve.wanted_until < _in(-KEEP_SECONDS), Solve.id.not_in(newest)))
    gone = session.execute(
        delete(Solve)
        .where(Solve.id.in_(select(Solve.id).where(old).with_for_update(skip_locked=True)))
        .returning(Solve.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())


def depth(session: Session) -> int:
    """Solves that somebody waits for."""
    return session.execute(select(func.count()).where(Solve.state.in_(PENDING), WANTED)).scalar_one()


def _check_pending(session: Session, own: int, actor: str, most: int) -> None:
    # Two requests of one principal count one after the other, or both would see room for one.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"solves of {actor}", 0))))
    others = select(func.count()).where(Solve.created_by == actor, Solve.state.in_(PENDING), WANTED, Solve.id != own)
    count = session.execute(others).scalar_one()
    if count >= most:
        raise TooManyRequests(
            f"{actor} has {count} solves under way, and at most {most} are allowed at a time "
            "(CONDARIUM_API_SOLVES_PER_PRINCIPAL); ask again when they are answered"
        )


def _end(session: Session, row: Solve, state: SolveState) -> None:
    row.state = state.value
    row.answered_on = session.execute(select(func.clock_timestamp())).scalar_one()
    leases.release(row)
    session.flush()
    session.execute(select(func.pg_notify(ANSWERED_CHANNEL, str(row.id))))


def _locked(session: Session, where: Any) -> Solve:
    return session.execute(
        select(Solve).where(where).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()


def _asked(row: Solve) -> Asked:
    state = SolveState(row.state)
    known = row.locks if state == SolveState.SOLVED else None
    locks = {platform: Lock.from_json(raw) for platform, raw in (known or {}).items()}
    return Asked(row.id, state, locks, row.reason, row.message)


def _in(seconds: float) -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
