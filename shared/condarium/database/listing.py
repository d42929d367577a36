"""What lists have in common: a page of rows, its order, and which namespaces the caller may see."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from condarium.database.tables import Namespace

T = TypeVar("T")


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


def visible(namespaces: Collection[str] | None) -> ColumnElement[bool]:
    """Rows of the namespaces that `access.visible_namespaces` answered; None is all of them."""
    return true() if namespaces is None else Namespace.name.in_(namespaces)


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
