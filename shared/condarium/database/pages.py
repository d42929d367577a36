"""Pages of lists as text: rows and count in one statement, compiled once for each kind of question.

What decides the statement's text is its kind: which filters are given, the order, what the caller sees. What is
filtered for are its values, so that Postgres plans once, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from condarium.database.json_text import Shape, as_text
from condarium.database.listing import Paging
from condarium.database.reads import Prepared, Reads
from condarium.domain.access import Visible
from condarium.domain.arn import ANY

#: rows before a page from which on it pays to find its ids first
DEEP = 500
#: namespaces that are looked through one by one
FEW = 32
#: kinds of questions that are remembered for each list
KINDS = 512

Sortable = ColumnElement[Any] | InstrumentedAttribute[Any]

#: numbers that are written into the statement; REACH is how many rows there are up to the end of the page
LIMIT, OFFSET, REACH = (bindparam(name, None, type_=BigInteger()) for name in ("limit", "offset", "reach"))


@dataclass(frozen=True)
class TextPage:
    """`rows` is the inside of a JSON array of `shown` objects; `last` holds what was asked of the last row."""

    rows: str
    shown: int
    count: int
    last: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Filter:
    """What a list is filtered for, each a text, a number or a tuple of texts; empty is no filter."""

    @property
    def kind(self) -> "Kind":
        """How many values are given of each field."""
        return Kind(tuple((field.name, len(self._given(field.name))) for field in fields(self)))

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of a statement for `kind`."""
        given = {field.name: self._given(field.name) for field in fields(self)}
        return {f"{name}_{number}": value for name, found in given.items() for number, value in enumerate(found)}

    def _given(self, name: str) -> tuple[Any, ...]:
        value = getattr(self, name)
        if isinstance(value, tuple):
            return value
        return () if value in ("", None) else (value,)


@dataclass(frozen=True)
class Kind:
    """Which filters are given, whatever they hold."""

    given: tuple[tuple[str, int], ...]

    def parameters(self, name: str) -> list[BindParameter[Any]]:
        """One for each value of the field; none when it is not filtered for."""
        type_ = BigInteger() if name.endswith("_id") else Text()
        return [bindparam(f"{name}_{number}", None, type_=type_) for number in range(dict(self.given)[name])]

    def only(self, *names: str) -> bool:
        """Whether nothing else is filtered for."""
        return all(name in names for name, count in self.given if count)


class Depth(Enum):
    """Where a page lies: what its statement looks like."""

    #: all rows are one page
    WHOLE = "whole"
    FIRST = "first"
    LATER = "later"
    #: so far behind that it pays to find its ids first
    DEEP = "deep"

    def cut(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        if self == Depth.WHOLE:
            return query
        return query.limit(LIMIT) if self == Depth.FIRST else query.limit(LIMIT).offset(OFFSET)


@dataclass(frozen=True)
class Cut:
    """Which rows: `limit` ones behind the first `offset`, or all without a limit."""

    limit: int | None
    offset: int = 0

    @classmethod
    def of(cls, paging: Paging) -> "Cut":
        return cls(paging.size, 0 if paging.size is None else (paging.page - 1) * paging.size)

    @property
    def depth(self) -> Depth:
        if self.limit is None:
            return Depth.WHOLE
        return Depth.FIRST if not self.offset else Depth.DEEP if self.offset >= DEEP else Depth.LATER


def ordered_by(
    columns: Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]], *, descending: bool
) -> list[ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in columns]


def text_page(
    page: Subquery, shape: Shape, *, count: ColumnElement[int], last: Sequence[str] = ()
) -> Select[*tuple[Any, ...]]:
    """The statement that gives `page`, whose rows are in order, as a row for `read`; `count` is of all its pages."""
    shown: ColumnElement[int] = func.count()
    lasts = [func.array_agg(page.c[name], type_=ARRAY(page.c[name].type))[shown] for name in last]
    rows = func.coalesce(func.string_agg(as_text(shape, page.c), literal_column("','")), literal_column("''"))
    return select(rows, shown, count, *lasts).select_from(page)


def counted(query: Select[*tuple[Any, ...]], depth: Depth) -> ColumnElement[int]:
    """The rows of `query`, truly counted unless the page that is shown holds all of them."""
    if depth == Depth.WHOLE:
        return func.count()
    found: ColumnElement[int] = select(func.count()).select_from(query.subquery()).scalar_subquery()
    return case((func.count() < LIMIT, func.count()), else_=found) if depth == Depth.FIRST else found


async def read(reads: Reads, prepared: Prepared, values: Mapping[str, Any], cut: Cut) -> TextPage:
    """Asks a statement of `text_page`. Raises Unavailable."""
    sql = prepared.cut(limit=cut.limit or 0, offset=cut.offset, reach=(cut.limit or 0) + cut.offset)
    rows, shown, count, *last = await reads.row(sql, values)
    return TextPage(rows, shown, count, tuple(last))


def by_namespace(shown: Visible) -> bool:
    """Whether of each namespace all or nothing is shown: then its own count is right."""
    return shown == shown.whole_namespaces


def few_namespaces(shown: Visible) -> bool:
    """Whether some namespaces are shown by their names, and nothing else: each has its own part of an index."""
    named = all(arn.whole_namespaces and ANY not in arn.namespace for arn in shown.arns)
    return named and shown.within is None and len(shown.arns) <= FEW


def exactly(column: Sortable, value: ColumnElement[int]) -> ColumnElement[bool]:
    """Equal, in words that leave Postgres only indexes which begin with the column: sort by it first.

    Of an equal sign it concludes that the column need not be sorted by, takes an index in the order of what comes
    next, and reads on and on where the few rows of one namespace lie at its end.
    """
    return and_(column >= value, column <= value)
