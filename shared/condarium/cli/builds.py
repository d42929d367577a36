"""`condarium build ...`"""

from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from condarium.cli.output import Output, amount, errors, phases
from condarium.cli.session import connect, find_build, load_build, naming, split_environment
from condarium.client import Client

app = typer.Typer(help="Builds: numbered attempts of an environment.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="A build's number, or an environment for its current build")]
Number = Annotated[int, typer.Argument(help="A build's number", min=1)]
PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command("list")
def list_builds(
    environment: Annotated[str | None, typer.Argument(help="Only of this environment.")] = None,
    status: Annotated[str | None, typer.Option(help="QUEUED, BUILDING, COMPLETED, FAILED or CANCELED.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    json: Json = False,
) -> None:
    """Lists builds, newest first."""
    filters: dict[str, Any] = {"status": status.upper() if status else None}
    if environment:
        filters["namespace"], filters["name"] = split_environment(environment)
    with connect() as client:
        rows = [row for row, _ in zip(client.builds(**filters), range(limit), strict=False)]
    table(rows, json)


def table(rows: list[dict[str, Any]], json: bool) -> None:
    """Prints build rows as the gateway lists them."""
    if json:
        Output(json).value(rows)
        return
    shown = [
        {
            "build": row["id"],
            "environment": f"{row['condarium']['namespace']}/{row['condarium']['environment']}",
            "gen": row["condarium"]["generation"],
            "status": row["status"],
            "scheduled (UTC)": (row["scheduled_on"] or "")[:16].replace("T", " "),
            "size": amount(row["size"]),
            "info": (row["status_info"] or "").splitlines()[0][:80] if row["status_info"] else "",
        }
        for row in rows
    ]
    columns = ["build", "environment", "gen", "status", "scheduled (UTC)", "size", "info"]
    Output(json).table(shown, columns)


@app.command("show")
def show(build: Which, json: Json = False) -> None:
    """Shows a build: its state, packages, timings and what is served of it."""
    with connect() as client:
        found = load_build(client, find_build(client, build))
        packages = client.packages(found["id"])
    if json:
        Output(json).value({**found, "packages": packages})
        return
    ours = found["condarium"]
    pairs = {
        "build": found["id"],
        "environment": f"{ours['namespace']}/{ours['environment']} (generation {ours['generation']})",
        "status": found["status"],
        "info": found["status_info"],
        "size": amount(found["size"]),
        "directory": ours["prefix"],
        "locks": ", ".join(f"{platform} {digest[:12]}" for platform, digest in ours["locks"].items()),
        "seconds": phases(ours["seconds"]),
    }
    Output(json).details({name: value for name, value in pairs.items() if value})
    print()
    kinds = [{**item, "artifact": item["artifact_type"], "size": amount(item["size"])} for item in ours["artifacts"]]
    Output(json).table(kinds, ["artifact", "state", "size", "reason"])
    if packages:
        print()
        Output(json).table(packages, ["name", "version"])


@app.command("logs")
def show_logs(
    build: Which, follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Until the build has ended.")] = False
) -> None:
    """Prints the log of a build."""
    with connect() as client:
        build_id = find_build(client, build)
        if not follow_it:
            with naming(f"build {build_id}", "build"):
                print(client.logs(build_id), end="")
            return
        load_build(client, build_id)
        for message in client.follow(build_id):
            if message.event == "log":
                print(message.data["text"], end="", flush=True)
            elif message.event == "end" and message.data["status"] != "COMPLETED":
                raise typer.Exit(1)


@app.command("cancel")
def cancel(build: Number, json: Json = False) -> None:
    """Ends a queued or running build."""
    with connect() as client, naming(f"build {build}", "build"):
        client.cancel(build)
    Output(json).done(f"build {build} is canceled", build_id=build)


@app.command("retry")
def retry(
    build: Number,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the build to its end.")] = True,
    json: Json = False,
) -> None:
    """Tries a failed or canceled build again."""
    with connect() as client:
        with naming(f"build {build}", "build"):
            client.retry(build)
        if not wait:
            Output(json).done(f"build {build} is queued again", build_id=build)
            return
        report(follow(client, build, quiet=json), json)


def follow(client: Client, build_id: int, *, quiet: bool) -> dict[str, Any]:
    """Shows one live line until the build has ended; returns the build."""
    if not quiet and not errors.is_terminal:
        errors.print(f"build {build_id} is queued; `condarium build logs --follow {build_id}` shows its log", **PLAIN)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True) as progress:
        line = progress.add_task(f"build {build_id}")
        status, last = "QUEUED", ""
        for message in client.follow(build_id):
            if message.event == "log":
                lines = [text for text in message.data["text"].splitlines() if not text[9:].startswith(" ")]
                last = lines[-1][9:] if lines else last
            elif message.event == "status":
                status = message.data["status"]
                last = message.data["status_info"] or last
            elif message.event == "end":
                break
            said = last.splitlines()[0][:90] if last else ""
            progress.update(line, description=f"build {build_id}  {status}  {said}".replace("[", r"\["))
    return client.build(build_id)


def report(build: dict[str, Any], json: bool) -> None:
    """Says how a build ended. Raises Exit with 1 unless it completed."""
    ours = build["condarium"]
    if json:
        Output(json).value(build)
    elif build["status"] == "COMPLETED":
        where = f" in {ours['prefix']}" if ours["prefix"] else ""
        print(f"build {build['id']} of {ours['namespace']}/{ours['environment']} is COMPLETED{where}")
    else:
        errors.print(f"build {build['id']} is {build['status']}: {build['status_info']}", **PLAIN)
        if build["status"] == "FAILED":
            errors.print(f"its log: condarium build logs {build['id']}", **PLAIN)
    if build["status"] != "COMPLETED":
        raise typer.Exit(1)
