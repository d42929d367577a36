"""Claims by lease, for any table that has the `Leased` columns; the subject's module says which rows are ready.

A claim is (row id, owner, attempt): the attempt grows with each claim, so it fences off whoever was here before.
All times are the database's: workers' clocks do not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import SQLColumnExpression

from condarium.errors import LeaseLost


@dataclass(frozen=True)
class Claim:
    """A row that is ours until its lease ends; `attempt` counts from 1."""

    id: int
    owner: str
    attempt: int


@dataclass(frozen=True)
class Claimable:
    """How to find rows of one table: `ready` may be claimed now, `running` once its lease has expired."""

    table: type[Any]
    ready: ColumnElement[bool]
    running: ColumnElement[bool]
    order: tuple[SQLColumnExpression[Any], ...]
    #: what a claim sets besides the lease, such as the state
    values: Mapping[str, Any]


def claim(
    session: Session, kind: Claimable, *, owner: str, lease_seconds: float, where: ColumnElement[bool] | None = None
) -> Claim | None:
    """Takes the first row that is ready, or whose worker let its lease expire; None when there is none.

    Two callers never get the same row: the choice skips rows that another transaction holds.
    """
    table = kind.table
    now = func.clock_timestamp()
    free = or_(
        and_(kind.ready, or_(table.not_before.is_(None), table.not_before <= now)),
        and_(kind.running, table.lease_until < now),
    )
    chosen = (
        select(table.id)
        .where(free if where is None else and_(free, where))
        .order_by(*kind.order)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
        .scalar_subquery()
    )
    statement = (
        update(table)
        .where(table.id == chosen)
        .values(
            owner=owner,
            attempt=table.attempt + 1,
            lease_until=now + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds),
            not_before=None,
            **kind.values,
        )
        .returning(table.id, table.attempt)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).first()
    return Claim(row.id, owner, row.attempt) if row else None


def extend(session: Session, kind: Claimable, held: Claim, *, lease_seconds: float) -> None:
    """The heartbeat. Raises LeaseLost when the row is no longer ours."""
    until = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
    done = session.execute(
        update(kind.table)
        .where(_ours(kind, held))
        .values(lease_until=until)
        .returning(kind.table.id)
        .execution_options(synchronize_session=False)
    ).first()
    if done is None:
        raise LeaseLost(f"{kind.table.__tablename__} {held.id}: attempt {held.attempt} is no longer ours")


def guard(session: Session, kind: Claimable, held: Claim) -> Any:
    """The row, locked for this transaction. Raises LeaseLost when it is no longer ours: then nothing is written.

    Rows that refer to it may come meanwhile: a pull that asks for an image of a build that is being solved would
    otherwise wait for the solver's transaction, and that one for the pull.
    """
    row = session.execute(
        select(kind.table)
        .where(_ours(kind, held))
        .with_for_update(of=kind.table, key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        raise LeaseLost(f"{kind.table.__tablename__} {held.id}: attempt {held.attempt} is no longer ours")
    return row


def release(row: Any) -> None:
    """Ends the lease of a guarded row; the caller has set its state."""
    row.owner = None
    row.lease_until = None


def postpone(session: Session, row: Any, *, seconds: float) -> None:
    """Gives a guarded row back, to be claimed not before `seconds` from now."""
    release(row)
    row.not_before = session.execute(
        select(func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    ).scalar_one()


def _ours(kind: Claimable, held: Claim) -> ColumnElement[bool]:
    table = kind.table
    return and_(table.id == held.id, table.owner == held.owner, table.attempt == held.attempt, kind.running)
