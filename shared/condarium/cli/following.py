"""Builds while they run: one live line on a terminal, plain lines elsewhere; and how they ended."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from condarium.cli import codes
from condarium.cli.output import Output, errors, say
from condarium.client import Client
from condarium.client.models import Build


def follow(client: Client, build_id: int, *, quiet: bool) -> Build:
    """Shows how the build stands until it has ended; returns it."""
    live = errors.is_terminal
    if not quiet and not live:
        say(f"build {build_id} is queued; `condarium build logs --follow {build_id}` shows its log")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet or not live, transient=True) as progress:
        line = progress.add_task(f"build {build_id}")
        status, last = "QUEUED", ""
        for message in client.follow(build_id):
            if message.event == "log":
                lines = [text for text in message.data["text"].splitlines() if not text[9:].startswith(" ")]
                last = lines[-1][9:] if lines else last
            elif message.event == "status":
                if not quiet and not live and message.data["status"] not in (status, "COMPLETED", "FAILED"):
                    say(f"build {build_id} is {message.data['status']}")
                status = message.data["status"]
                last = message.data["status_info"] or last
            elif message.event == "end":
                break
            said = last.splitlines()[0][:90] if last else ""
            progress.update(line, description=f"build {build_id}  {status}  {said}".replace("[", r"\["))
    return client.build(build_id)


def report(build: Build, json: bool) -> None:
    """Says how a build ended. Raises Exit with 1 unless it completed."""
    ours = build.condarium
    if json:
        Output(json).value(build)
    elif build.status == "COMPLETED":
        where = f" in {ours.prefix}" if ours.prefix else ""
        print(f"build {build.id} of {ours.namespace}/{ours.environment} is COMPLETED{where}")
    else:
        say_failure(build)
    if build.status != "COMPLETED":
        raise typer.Exit(codes.FAILED)


def say_failure(build: Build) -> None:
    """Why, and where the log is."""
    say(f"build {build.id} is {build.status}: {build.status_info}")
    if build.status == "FAILED":
        say(f"its log: condarium build logs {build.id}")


@contextmanager
def waiting(sentence: str, *, quiet: bool) -> Iterator[None]:
    """Something that takes its time: a spinner on a terminal, a line elsewhere."""
    if quiet:
        yield
    elif errors.is_terminal:
        with errors.status(sentence.replace("[", r"\[")):
            yield
    else:
        say(sentence)
        yield


def transfer(*, quiet: bool) -> Progress:
    """A bar for downloads, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True)
