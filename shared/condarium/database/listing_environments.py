"""Lists of environments, by page and by cursor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_
from sqlalchemy.orm import Session

from condarium.database.listing import Page, Paging, read, visible
from condarium.database.listing_builds import has_artifact, has_package
from condarium.database.tables import Build, Environment, Namespace
from condarium.domain.access import Visible

ORDER = {"namespace": Namespace.name, "name": Environment.name}


@dataclass(frozen=True)
class EnvironmentFilter:
    """Empty is no filter; `status`, `artifacts` and `packages` are about the current build and all must hold."""

    search: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    artifacts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class After:
    """Where the page before ended: its last row's id, and its values of the sort columns."""

    id: int
    values: tuple[str, ...]


def page(session: Session, wanted: EnvironmentFilter, *, shown: Visible, paging: Paging) -> Page[Any]:
    """Rows of (id, name, description, current_build_id, namespace_id, namespace)."""
    query = _query(wanted, shown)
    return read(session, query, paging=paging, order=ORDER, default=("namespace", "name"), last=Environment.id)


def after(
    session: Session,
    wanted: EnvironmentFilter,
    *,
    shown: Visible,
    sort: Sequence[str],
    descending: bool,
    limit: int,
    cursor: After | None,
) -> tuple[Sequence[Any], int]:
    """The rows behind `cursor`, as `page` gives them, and the count of all rows. `sort` holds names of ORDER."""
    query = _query(wanted, shown)
    columns = [*(ORDER[name] for name in sort), Environment.id]
    ordered = query.order_by(*(column.desc() if descending else column.asc() for column in columns)).limit(limit)
    if cursor is not None:
        row, last = tuple_(*columns), tuple_(*cursor.values, cursor.id)
        ordered = ordered.where(row < last if descending else row > last)
    counted = query.with_only_columns(Environment.id, maintain_column_froms=True).subquery()
    return session.execute(ordered).all(), session.execute(select(func.count()).select_from(counted)).scalar_one()


def row_values(row: Any, sort: Sequence[str]) -> Mapping[str, str]:
    """What a cursor remembers of a row."""
    return {name: row.namespace if name == "namespace" else row.name for name in sort}


def _query(wanted: EnvironmentFilter, shown: Visible) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Environment.id,
            Environment.name,
            Environment.description,
            Environment.current_build_id,
            Namespace.id.label("namespace_id"),
            Namespace.name.label("namespace"),
        )
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .where(Environment.deleted_on.is_(None), Namespace.deleted_on.is_(None), visible(shown))
    )
    if wanted.status:
        query = query.join(Build, Build.id == Environment.current_build_id).where(Build.status == wanted.status)
    return query.where(*_conditions(wanted))


def _conditions(wanted: EnvironmentFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.search:
        conditions.append(
            or_(
                Namespace.name.icontains(wanted.search, autoescape=True),
                Environment.name.icontains(wanted.search, autoescape=True),
            )
        )
    if wanted.namespace:
        conditions.append(Namespace.name == wanted.namespace)
    if wanted.name:
        conditions.append(Environment.name == wanted.name)
    conditions += [has_artifact(Environment.current_build_id, kind) for kind in wanted.artifacts]
    conditions += [has_package(Environment.current_build_id, name) for name in wanted.packages]
    return conditions
