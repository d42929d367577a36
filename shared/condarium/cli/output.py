"""What people see, and what programs read with --json."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

errors = Console(stderr=True)
COLOURS = {"COMPLETED": "green", "FAILED": "red", "CANCELED": "yellow", "BUILDING": "cyan"}


class Output:
    """Prints tables and sentences, or one JSON value."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._console = Console(highlight=False)

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """`columns` are what people see; programs get whole rows."""
        if self.as_json:
            self.value(list(rows))
            return
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        self._console.print(table)

    def value(self, value: Any) -> None:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def done(self, sentence: str, **fields: Any) -> None:
        if self.as_json:
            self.value(fields)
        else:
            self._console.print(sentence, markup=False, soft_wrap=True)

    def details(self, pairs: Mapping[str, Any]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in pairs.items():
            table.add_row(f"[bold]{name}[/bold]", _cell(value))
        self._console.print(table)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else text.replace("[", r"\[")


def megabytes(size: int | None) -> str:
    return "" if not size else f"{size / 1e6:.1f} MB"
