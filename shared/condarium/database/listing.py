"""What lists have in common: a page of rows, its order, and which namespaces the caller may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from condarium.database.tables import Environment, Namespace
from condarium.domain.access import Visible
from condarium.domain.arn import ANY

T = TypeVar("T")
Text = InstrumentedAttribute[str]


@dataclass(frozen=True)
class Paging:
    """Pages count from 1; `size` None is all rows. Names in `sort` that a list does not know are left out."""

    page: int = 1
    size: int | None = 100
    sort: tuple[str, ...] = ()
    descending: bool = False


@dataclass(frozen=True)
class Page(Generic[T]):
    """`count` is the number of rows on all pages, `size` the most that one page holds."""

    rows: Sequence[T]
    page: int
    size: int
    count: int


def visible(
    shown: Visible, *, namespace: Text = Namespace.name, environment: Text | None = Environment.name
) -> ColumnElement[bool]:
    """Rows whose columns fit what `access.visible` answered.

    `environment` None is for rows about namespaces: those of which anything is shown.
    """
    if shown.everything:
        return true()
    whole = [arn.namespace for arn in shown.arns if arn.whole_namespaces or environment is None]
    named = [name for name in whole if ANY not in name]
    conditions: list[ColumnElement[bool]] = [namespace.in_(named)] if named else []
    conditions += [_fits(namespace, pattern) for pattern in whole if ANY in pattern]
    if environment is not None:
        conditions += [
            and_(_fits(namespace, arn.namespace), _fits(environment, arn.environment))
            for arn in shown.arns
            if not arn.whole_namespaces
        ]
    found = or_(*conditions) if conditions else false()
    if shown.within is None:
        return found
    return and_(found, visible(shown.within, namespace=namespace, environment=environment))


def _fits(column: Text, pattern: str) -> ColumnElement[bool]:
    """`domain.arn.matches` as SQL."""
    if pattern == ANY:
        return true()
    if ANY not in pattern:
        return column == pattern
    # Of LIKE's own signs only the underscore is allowed in names.
    return column.like(pattern.replace("_", "\\_").replace(ANY, "%"), escape="\\")


def read(
    session: Session,
    query: Select[*tuple[Any, ...]],
    *,
    paging: Paging,
    order: Mapping[str, InstrumentedAttribute[Any]],
    default: Sequence[str],
    last: InstrumentedAttribute[int],
) -> Page[Any]:
    """A page of `query` and the count of all its rows, in two statements.

    `order` holds the columns by the names that clients sort by, `default` those that stand when none is asked for,
    `last` makes the order total.
    """
    names = [name for name in dict.fromkeys(paging.sort) if name in order] or list(default)
    columns = [*(order[name] for name in names), *([] if "id" in names else [last])]
    ordered = query.order_by(*(column.desc() if paging.descending else column.asc() for column in columns))
    if paging.size is not None:
        ordered = ordered.limit(paging.size).offset((paging.page - 1) * paging.size)
    rows = session.execute(ordered).all()
    if paging.size is None or (paging.page == 1 and len(rows) < paging.size):
        count = len(rows)
    else:
        # The columns cost nothing: only their rows are counted.
        counted = query.with_only_columns(last, maintain_column_froms=True).order_by(None).subquery()
        count = session.execute(select(func.count()).select_from(counted)).scalar_one()
    return Page(rows, paging.page, len(rows) if paging.size is None else paging.size, count)
