"""What people see, and what programs read with --json."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

errors = Console(stderr=True)
UNLIMITED = 100_000
PHASES = ("queue", "solve", "fetch", "pypi", "link")
COLOURS = {"COMPLETED": "green", "FAILED": "red", "CANCELED": "yellow", "BUILDING": "cyan"}


class Output:
    """Prints tables and sentences, or one JSON value."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        # Without a terminal nobody counts columns: what is piped is never cut or folded.
        self._console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=UNLIMITED)

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """`columns` are what people see; programs get whole rows."""
        if self.as_json:
            self.value(list(rows))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column != columns[-1])
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
        """Names and values; a value is never cut, so that a path can be copied."""
        width = max(map(len, pairs), default=0)
        for name, value in pairs.items():
            lines = _cell(value).rstrip("\n").replace("\n", "\n" + " " * (width + 2))
            self._console.print(f"[bold]{name:<{width}}[/bold]  {lines}", soft_wrap=True)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else text.replace("[", r"\[")


def amount(size: int | None) -> str:
    """Bytes, as people say it."""
    if not size:
        return ""
    if size < 1_000_000:
        return f"{size} B" if size < 1000 else f"{size / 1e3:.1f} kB"
    return f"{size / 1e6:.1f} MB"


def phases(seconds: Mapping[str, float]) -> str:
    """How long each phase of a build took, in the order in which they come."""
    ordered = sorted(seconds, key=lambda phase: (PHASES.index(phase) if phase in PHASES else len(PHASES), phase))
    return ", ".join(f"{phase} {seconds[phase]:.2f}" for phase in ordered)
