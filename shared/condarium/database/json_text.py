"""Rows as JSON that Postgres writes: nothing of a list passes through Python but its text.

A shape says what an object of the reply holds: columns by their names, objects, constants. The same shape makes a
dict of a row (`as_dict`) and the SQL of its text (`as_text`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, DateTime, Text, case, cast, func, literal_column
from sqlalchemy.sql.base import ReadOnlyColumnCollection

#: naive UTC with microseconds, in quotes
_MOMENT: ColumnElement[str] = literal_column("""'\\"YYYY-MM-DD"T"HH24:MI:SS.US\\"'""")


@dataclass(frozen=True)
class Column:
    """A value of the row."""

    name: str


@dataclass(frozen=True, eq=False)
class Shape:
    """An object of a reply: names with a Column, a mapping of the same kind, or a constant."""

    parts: Mapping[str, Any]


Columns = ReadOnlyColumnCollection[str, Any]


def moment(value: datetime | None) -> str | None:
    """Naive UTC with microseconds: conda-store's UI appends the `Z` itself."""
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def as_dict(shape: Shape, row: Any) -> dict[str, Any]:
    """The object of a row whose attributes are named as the columns of the shape."""
    return {name: _value(part, row) for name, part in shape.parts.items()}


def _value(part: Any, row: Any) -> Any:
    match part:
        case Column(name):
            value = getattr(row, name)
            return moment(value) if isinstance(value, datetime) else value
        case Mapping():
            return {name: _value(inner, row) for name, inner in part.items()}
        case _:
            return part


def as_text(shape: Shape, columns: Columns) -> ColumnElement[str]:
    """The text of the object. Raises KeyError for a column that is not there."""
    pieces: list[str | ColumnElement[Any]] = [""]
    _write(shape.parts, columns, pieces)
    return func.concat(*(_quoted(piece) if isinstance(piece, str) else piece for piece in pieces))


def _write(part: Any, columns: Columns, pieces: list[str | ColumnElement[Any]]) -> None:
    """Appends the text of a part; what is constant goes to the piece before."""
    match part:
        case Column(name):
            pieces += [_expression(columns[name]), ""]
        case Mapping() if part:
            for number, (name, inner) in enumerate(part.items()):
                pieces[-1] = f"{pieces[-1]}{',' if number else '{'}{_constant(name)}:"
                _write(inner, columns, pieces)
            pieces[-1] = f"{pieces[-1]}}}"
        case _:
            pieces[-1] = f"{pieces[-1]}{_constant(part)}"


def _constant(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _quoted(text: str) -> ColumnElement[str]:
    escaped = text.replace("'", "''")
    return literal_column(f"'{escaped}'")


def _expression(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The text of one value. Raises TypeError for types that no list has."""
    match column.type:
        case BigInteger():
            text: ColumnElement[Any] = cast(column, Text)
        case Boolean():
            text = case((column, literal_column("'true'")), else_=literal_column("'false'"))
        case DateTime():
            text = func.to_char(func.timezone(literal_column("'UTC'"), column), _MOMENT)
        case Text():
            text = cast(func.to_json(column), Text)
        case _:
            raise TypeError(f"a list cannot show {column}: {column.type}")
    return func.coalesce(text, literal_column("'null'"))
