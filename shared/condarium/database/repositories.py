"""Which environments the registry could name: those that point to a build."""

from typing import Any

from sqlalchemy import collate, select, tuple_
from sqlalchemy.orm import Session

from condarium.database.listing import visible
from condarium.database.tables import Environment, Namespace
from condarium.domain.access import Visible


def after(session: Session, shown: Visible, last: tuple[str, str] | None, *, limit: int) -> list[tuple[str, str]]:
    """Names of namespaces and environments behind `last`, in the order of their bytes."""
    columns: list[Any] = [collate(Namespace.name, "C"), collate(Environment.name, "C")]
    query = (
        select(Namespace.name, Environment.name)
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .where(
            Environment.deleted_on.is_(None),
            Namespace.deleted_on.is_(None),
            Environment.current_build_id.is_not(None),
            visible(shown),
        )
        .order_by(*columns)
        .limit(limit)
    )
    if last is not None:
        query = query.where(tuple_(*columns) > tuple_(*last))
    return [(row[0], row[1]) for row in session.execute(query)]
