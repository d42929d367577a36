"""`condarium audit ...` and `condarium events`: what was done, and what happens."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from condarium.cli import completion
from condarium.cli.output import Json, Output, minute, say
from condarium.cli.session import connect
from condarium.errors import InvalidInput

app = typer.Typer(help="The audit log: who did what.", no_args_is_help=True)

Principal = Annotated[str, typer.Option(help="Only of this one.")]
Action = Annotated[str, typer.Option(help="Such as build::cancel.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", autocompletion=completion.namespaces)]
Outcome = Annotated[str, typer.Option(help="done, denied or failed.")]
Since = Annotated[str, typer.Option(help="A time of ISO 8601, UTC where it names no zone.")]


def moment(text: str, option: str) -> datetime | None:
    """Raises InvalidInput."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{option}: {text!r} is no time; write 2026-11-23 or 2026-11-23T14:05") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@app.command("list")
def list_audit(
    principal: Principal = "",
    action: Action = "",
    namespace: Namespace = "",
    outcome: Outcome = "",
    since: Since = "",
    until: Since = "",
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    json: Json = False,
) -> None:
    """Lists who did what, newest first. Downloads, pulls and refusals are sums: `times` says how often."""
    wanted = _wanted(principal, action, namespace, outcome, since, until)
    with connect() as client:
        rows = list(islice(client.audit(**wanted), limit))
    Output(json).rows(
        rows,
        {
            "when (UTC)": lambda row: minute(row.time),
            "who": lambda row: row.principal,
            "what": lambda row: row.action,
            "outcome": lambda row: row.outcome,
            "times": lambda row: row.count,
            "on": lambda row: f"{row.details['of']} {row.resource}" if row.details.get("of") else row.resource,
        },
    )


@app.command("export")
def export(
    principal: Principal = "",
    action: Action = "",
    namespace: Namespace = "",
    outcome: Outcome = "",
    since: Since = "",
    until: Since = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; by default standard output.")] = None,
) -> None:
    """Writes all rows that fit as JSON lines."""
    import json

    wanted = _wanted(principal, action, namespace, outcome, since, until)
    with connect() as client:
        rows = client.export_audit(**wanted)
        if output is None:
            for row in rows:
                Output(True).line(row.to_json())
            return
        count = 0
        try:
            with output.open("w", encoding="utf-8") as file:
                for row in rows:
                    file.write(json.dumps(row.to_json(), ensure_ascii=False) + "\n")
                    count += 1
        except OSError as error:
            raise InvalidInput(f"{output} cannot be written: {error.strerror}") from None
    Output(False).done(f"{output}: {count} rows")


def _wanted(principal: str, action: str, namespace: str, outcome: str, since: str, until: str) -> dict[str, Any]:
    return {
        "principal": principal,
        "action": action,
        "namespace": namespace,
        "outcome": outcome,
        "since": moment(since, "--since"),
        "until": moment(until, "--until"),
    }


def events(
    after: Annotated[int | None, typer.Option(min=0, help="A position; 0 is the first; by default from now.")] = None,
    namespace: Namespace = "",
    environment: Annotated[str, typer.Option(help="Of the namespace.")] = "",
    build: Annotated[int | None, typer.Option(min=1)] = None,
    kind: Annotated[str, typer.Option("--type", help="An event or a pattern such as 'build.*'.")] = "",
    past: Annotated[bool, typer.Option("--past", help="End when what was missed has been shown.")] = False,
    json: Json = False,
) -> None:
    """Follows events as they happen, one line each; comes back by itself when the connection breaks."""
    wanted = {"namespace": namespace, "environment": environment, "build": str(build or ""), "type": kind}
    with connect() as client:
        for message in client.events(after=0 if past and after is None else after, **wanted):
            if message.event == "gone":
                # Older ones were deleted (setting keep_events_days).
                say(f"the events from {message.data['after']} to {message.data['first']} are not there any more")
                continue
            if message.event == "live":
                if past:
                    return
                continue
            if json:
                Output(True).line({"id": message.id, "event": message.event, "data": message.data})
            else:
                data = message.data.get("data") or {}
                shown = " ".join(f"{key}={value}" for key, value in data.items() if isinstance(value, str | int))
                print(f"{message.data.get('time', '')[:19]} {message.event} {shown}", flush=True)
