"""Sweeps and their parts: asked for, due, claimed by whoever does them, and what they report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from condarium.database import leases
from condarium.database.tables import Sweep, SweepPart

Verb = Literal["gc", "verify"]
#: by a packager, and by a builder
STORAGE, STORE = "storage", "store"
PARTS = (STORAGE, STORE)
#: of the transaction lock under which sweeps become due
_SCHEDULING = 0x67617262

CLAIMABLE = leases.Claimable(
    table=SweepPart,
    ready=SweepPart.state == "REQUESTED",
    running=SweepPart.state == "RUNNING",
    order=(SweepPart.id,),
    values={"state": "RUNNING"},
)


@dataclass(frozen=True)
class Claimed:
    """A part that is ours to do."""

    held: leases.Claim
    verb: Verb
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """How one part of a sweep stands."""

    part: str
    state: str
    report: Mapping[str, Any]
    message: str | None
    ended_on: datetime | None


@dataclass(frozen=True)
class Shown:
    """A sweep with its parts."""

    id: int
    verb: str
    options: Mapping[str, Any]
    created_on: datetime
    created_by: str
    parts: tuple[Part, ...]

    @property
    def ended(self) -> bool:
        return all(part.state in ("DONE", "FAILED") for part in self.parts)


def ask(session: Session, verb: Verb, options: Mapping[str, Any], *, actor: str, parts: Sequence[str] = PARTS) -> int:
    """The id of a new sweep; services do its parts soon."""
    sweep = Sweep(verb=verb, options=dict(options), created_by=actor)
    session.add(sweep)
    session.flush()
    session.add_all(SweepPart(sweep_id=sweep.id, part=part) for part in parts)
    session.flush()
    return sweep.id


def ask_when_due(session: Session, part: str, *, interval: float) -> int | None:
    """A sweep of the part, unless there was one within `interval` seconds; its id, or None."""
    session.execute(select(func.pg_advisory_xact_lock(_SCHEDULING)))
    since = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, interval)
    latest = (
        select(SweepPart.id)
        .join(Sweep, Sweep.id == SweepPart.sweep_id)
        .where(SweepPart.part == part, Sweep.verb == "gc", Sweep.created_by == "system", Sweep.created_on > since)
        .limit(1)
    )
    if session.execute(latest).first() is not None:
        return None
    return ask(session, "gc", {}, actor="system", parts=[part])


def claim(session: Session, part: str, *, owner: str, lease_seconds: float) -> Claimed | None:
    """The next one of this kind that nobody does."""
    held = leases.claim(session, CLAIMABLE, owner=owner, lease_seconds=lease_seconds, where=SweepPart.part == part)
    if held is None:
        return None
    row = session.execute(
        select(Sweep.verb, Sweep.options).join(SweepPart, SweepPart.sweep_id == Sweep.id).where(SweepPart.id == held.id)
    ).one()
    return Claimed(held, row.verb, row.options)


def is_waiting(session: Session, part: str) -> bool:
    """Whether there is a part to be done."""
    query = select(SweepPart.id).where(SweepPart.part == part, SweepPart.state.in_(["REQUESTED", "RUNNING"])).limit(1)
    return session.execute(query).first() is not None


def extend(session: Session, held: leases.Claim, *, lease_seconds: float) -> None:
    """Raises LeaseLost."""
    leases.extend(session, CLAIMABLE, held, lease_seconds=lease_seconds)


def finish(session: Session, held: leases.Claim, report: Mapping[str, Any], *, failed: str | None = None) -> None:
    """Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.report, row.message = "FAILED" if failed else "DONE", dict(report), failed
    row.ended_on = session.execute(select(func.clock_timestamp())).scalar_one()
    leases.release(row)


def load(session: Session, sweep_id: int) -> Shown | None:
    found = _shown(session, select(Sweep).where(Sweep.id == sweep_id))
    return found[0] if found else None


def latest(session: Session, *, limit: int = 20) -> list[Shown]:
    """The newest first."""
    return _shown(session, select(Sweep).order_by(Sweep.id.desc()).limit(limit))


def _shown(session: Session, query: Any) -> list[Shown]:
    rows = list(session.execute(query).scalars())
    parts: dict[int, list[Part]] = {row.id: [] for row in rows}
    chosen = select(SweepPart).where(SweepPart.sweep_id.in_(list(parts))).order_by(SweepPart.part)
    for part in session.execute(chosen).scalars():
        parts[part.sweep_id].append(Part(part.part, part.state, part.report, part.message, part.ended_on))
    return [Shown(row.id, row.verb, row.options, row.created_on, row.created_by, tuple(parts[row.id])) for row in rows]


def last_seconds_ago(session: Session, part: str) -> float:
    """Since a sweep of the part was last done; infinite when there was none."""
    query = text(
        "select extract(epoch from clock_timestamp() - max(ended_on)) from sweep_parts join sweeps "
        "on sweeps.id = sweep_id where part = :part and state = 'DONE' and verb = 'gc'"
    )
    found = session.execute(query, {"part": part}).scalar_one()
    return float("inf") if found is None else float(found)
