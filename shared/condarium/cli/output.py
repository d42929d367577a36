"""What people see, and what programs read with --json: one document, or a line for each item of a stream, on stdout.

Messages and progress go to stderr.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from condarium.client.models import Shown
from condarium.errors import InvalidInput

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

errors = Console(stderr=True)
UNLIMITED = 100_000
SHORT = 20
PHASES = ("queue", "solve", "fetch", "pypi", "link")
COLOURS = {
    "COMPLETED": "green",
    "READY": "green",
    "FAILED": "red",
    "CANCELED": "yellow",
    "BUILDING": "cyan",
    "denied": "red",
    "failed": "red",
}


def confirm(question: str) -> None:
    """Goes on when the answer is yes. Raises typer.Abort, and InvalidInput where nobody is there to answer."""
    try:
        agreed = typer.confirm(question)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise InvalidInput("nobody answers here; --yes does it without asking") from None
    if not agreed:
        raise typer.Abort


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
            # What is short stays in one piece; the rest is folded where a terminal is too narrow, never cut away.
            short = max((len(str(row.get(column) or "")) for row in rows), default=0) <= SHORT
            table.add_column(column, overflow="fold", no_wrap=short)
        for row in rows:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        self._console.print(table)

    def rows(self, found: Iterable[Shown], shown: Mapping[str, Any]) -> None:
        """A table of models: `shown` is column -> what of a model stands there; programs get the models."""
        if self.as_json:
            self.value([item.to_json() for item in found])
            return
        columns = list(shown)
        self.table([{name: of(item) for name, of in shown.items()} for item in found], columns)

    def value(self, value: Any) -> None:
        """One JSON document; models and what is made of them."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")

    def line(self, value: Any) -> None:
        """One line of JSON lines, at once."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_plain) + "\n")
        sys.stdout.flush()

    def done(self, sentence: str, **fields: Any) -> None:
        """What was done: a sentence, or its facts."""
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


def say(sentence: str) -> None:
    """A message for people, on stderr; never folded, never coloured by what it holds."""
    errors.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Shown):
        return value.to_json()
    raise TypeError(f"{type(value).__name__} is no JSON")


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


def minute(moment: Any) -> str:
    """A moment in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else ""


def phases(seconds: Mapping[str, float]) -> str:
    """How long each phase of a build took, in the order in which they come."""
    ordered = sorted(seconds, key=lambda phase: (PHASES.index(phase) if phase in PHASES else len(PHASES), phase))
    return ", ".join(f"{phase} {seconds[phase]:.2f}" for phase in ordered)
