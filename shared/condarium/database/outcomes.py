"""The ends of an attempt, for rows with `state` and `reason` beside their lease: published images, copied packages."""

from typing import Any

from sqlalchemy.orm import Session

from condarium.database import leases


def postpone(session: Session, kind: leases.Claimable, held: leases.Claim, *, seconds: float, reason: str) -> None:
    """Gives the row back, to be tried again in `seconds`; `reason` says what failed. Raises LeaseLost."""
    row = _asked_again(session, kind, held)
    row.reason = reason
    leases.postpone(session, row, seconds=seconds)


def give_back(session: Session, kind: leases.Claimable, held: leases.Claim) -> None:
    """Another worker may take it at once; this attempt does not count. Raises LeaseLost."""
    row = _asked_again(session, kind, held)
    row.attempt -= 1
    leases.release(row)


def reset(row: Any) -> None:
    """Asked for anew: attempts count from the beginning. Whoever works on it loses its lease."""
    row.state, row.reason, row.attempt, row.not_before = "REQUESTED", None, 0, None
    leases.release(row)


def _asked_again(session: Session, kind: leases.Claimable, held: leases.Claim) -> Any:
    row = leases.guard(session, kind, held)
    row.state = "REQUESTED"
    return row
