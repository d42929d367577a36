"""`condarium build ...`"""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any

import typer

from condarium.cli import codes, completion
from condarium.cli.following import follow, report, waiting
from condarium.cli.output import Json, Output, Yes, amount, confirm, minute, phases
from condarium.cli.session import connect, find_build, load_build, naming, read_labels, split_environment
from condarium.client.models import Build, BuildRow

app = typer.Typer(help="Builds: numbered attempts of an environment.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(help="A build's number, or an environment for its current build", autocompletion=completion.builds),
]
Number = Annotated[int, typer.Argument(help="A build's number", min=1)]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the build to its end.")]


@app.command("list")
def list_builds(
    environment: Annotated[
        str | None, typer.Argument(help="Only of this environment.", autocompletion=completion.environments)
    ] = None,
    status: Annotated[str | None, typer.Option(help="QUEUED, BUILDING, COMPLETED, FAILED or CANCELED.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only in this one.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE or KEY; may be repeated.")] = None,
    package: Annotated[list[str] | None, typer.Option(help="Only with this package; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    json: Json = False,
) -> None:
    """Lists builds, newest first."""
    name = None
    if environment:
        namespace, name = split_environment(environment)
    with connect() as client:
        found = client.builds(
            namespace=namespace,
            name=name,
            status=status.upper() if status else None,
            label=label or (),
            packages=package or (),
        )
        table(list(islice(found, limit)), json)


def table(rows: Sequence[BuildRow], json: bool) -> None:
    """Prints build rows as the gateway lists them."""
    if json:
        Output(json).value(list(rows))
        return
    shown = [
        {
            "build": row.id,
            "environment": f"{row.condarium.namespace}/{row.condarium.environment}",
            "gen": row.condarium.generation,
            "status": row.status,
            "scheduled (UTC)": minute(row.scheduled_on),
            "size": amount(row.size),
            "info": (row.status_info or "").splitlines()[0][:80] if row.status_info else "",
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
        packages = list(client.packages(found.id))
    if json:
        Output(json).value({**found.to_json(), "packages": packages})
        return
    Output(json).details({name: value for name, value in _pairs(found).items() if value})
    print()
    kinds: list[dict[str, Any]] = [
        {"artifact": item.artifact_type, "state": item.state, "size": amount(item.size), "reason": item.reason}
        for item in found.condarium.artifacts
    ]
    Output(json).table(kinds, ["artifact", "state", "size", "reason"])
    if packages:
        print()
        Output(json).table([{"name": row.name, "version": row.version} for row in packages], ["name", "version"])


def _pairs(found: Build) -> dict[str, Any]:
    ours = found.condarium
    return {
        "build": found.id,
        "environment": f"{ours.namespace}/{ours.environment} (generation {ours.generation})",
        "status": found.status,
        "info": found.status_info,
        "size": amount(found.size),
        "directory": ours.prefix,
        "labels": ", ".join(f"{key}={value}" for key, value in ours.labels.items()),
        "locks": ", ".join(f"{platform} {digest[:12]}" for platform, digest in ours.locks.items()),
        "seconds": phases(ours.seconds or {}),
    }


@app.command("packages")
def list_packages(
    build: Which,
    search: Annotated[str, typer.Option(help="Part of a name.")] = "",
    platform: Annotated[str, typer.Option(help="Such as linux-64.")] = "",
    json: Json = False,
) -> None:
    """Lists the packages in the lock of a build."""
    with connect() as client:
        build_id = find_build(client, build)
        with naming(f"build {build_id}", "build"):
            rows = list(client.packages(build_id, search=search, platform=platform))
    Output(json).rows(
        rows,
        {
            "name": lambda row: row.name,
            "version": lambda row: row.version,
            "build": lambda row: row.condarium.build,
            "kind": lambda row: row.condarium.kind,
            "size": lambda row: amount(row.condarium.size),
            "channel": lambda row: row.channel.name,
        },
    )


@app.command("logs")
def show_logs(
    build: Which,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Until the build has ended.")] = False,
    json: Json = False,
) -> None:
    """Prints the log of a build. With --follow --json: a line of JSON for each piece and each change of state."""
    with connect() as client:
        build_id = find_build(client, build)
        if not follow_it:
            with naming(f"build {build_id}", "build"):
                text = client.logs(build_id)
            if json:
                Output(json).value({"build_id": build_id, "log": text})
            else:
                print(text, end="")
            return
        load_build(client, build_id)
        for message in client.follow(build_id):
            if json:
                Output(json).line({"event": message.event, **message.data})
            elif message.event == "log":
                print(message.data["text"], end="", flush=True)
            if message.event == "end" and message.data["status"] != "COMPLETED":
                raise typer.Exit(codes.FAILED)


@app.command("cancel")
def cancel(build: Number, json: Json = False) -> None:
    """Ends a queued or running build."""
    with connect() as client, naming(f"build {build}", "build"):
        client.cancel(build)
    Output(json).done(f"build {build} is canceled", build_id=build)


@app.command("retry")
def retry(build: Number, wait: Wait = True, json: Json = False) -> None:
    """Tries a failed or canceled build again, under its own number."""
    with connect() as client:
        with naming(f"build {build}", "build"):
            client.retry(build)
        if not wait:
            Output(json).done(f"build {build} is queued again", build_id=build)
            return
        report(follow(client, build, quiet=json), json)


@app.command("rebuild")
def rebuild(build: Which, wait: Wait = True, json: Json = False) -> None:
    """Builds the same specification again, as a new build: solved anew, with what the channels have now."""
    with connect() as client:
        source = find_build(client, build)
        with naming(f"build {source}", "build"):
            made = client.rebuild(source)
        if not wait:
            Output(json).done(f"build {made} is queued", build_id=made)
            return
        report(follow(client, made, quiet=json), json)


@app.command("delete")
def delete(build: Number, yes: Yes = False, json: Json = False) -> None:
    """Deletes a completed or failed build."""
    with connect() as client:
        if not yes:
            ours = load_build(client, build).condarium
            confirm(f"Delete build {build} of {ours.namespace}/{ours.environment}?")
        with naming(f"build {build}", "build"):
            client.delete_build(build)
    Output(json).done(f"build {build} is deleted", deleted=build)


@app.command("label")
def label(
    build: Which,
    labels: Annotated[
        list[str] | None, typer.Argument(help="KEY=VALUE to set, KEY- to take away; none shows them")
    ] = None,
    json: Json = False,
) -> None:
    """Sets labels of a build, or takes them away. `key-value` is a tag of its image; `build list --label` finds it."""
    wanted = labels or []
    gone = [text[:-1] for text in wanted if text.endswith("-") and "=" not in text]
    new = read_labels([text for text in wanted if not (text.endswith("-") and "=" not in text)])
    with connect() as client:
        build_id = find_build(client, build)
        known = load_build(client, build_id).condarium.labels
        kept = {key: value for key, value in known.items() if key not in gone} | new
        if kept != known:
            client.label(build_id, kept)
    said = ", ".join(f"{key}={value}" for key, value in sorted(kept.items())) or "no labels"
    Output(json).done(f"build {build_id}: {said}", build_id=build_id, labels=kept)


@app.command("image")
def image(
    build: Which,
    wait: Annotated[float, typer.Option(help="How many seconds to wait until it is made.", min=0)] = 300,
    json: Json = False,
) -> None:
    """Prints the image of a build as IMAGE@DIGEST, once it is made."""
    with connect() as client:
        build_id = find_build(client, build)
        with naming(f"build {build_id}", "build"), waiting(f"waiting for the image of build {build_id}", quiet=json):
            found = client.image(build_id, wait_seconds=wait)
    Output(json).done(found.pinned, build_id=build_id, **found.to_json())


@app.command("artifact")
def artifact(
    build: Which,
    kind: Annotated[str, typer.Argument(help="LOCKFILE, CONDA_PACK, DOCKER_MANIFEST, ...; none lists them")] = "",
    json: Json = False,
) -> None:
    """Lists what is made of a build, or asks for one more; one that has failed is tried again."""
    with connect() as client:
        build_id = find_build(client, build)
        with naming(f"build {build_id}", "build"):
            rows = client.artifacts(build_id)
        if kind:
            client.request_artifact(build_id, kind.upper())
            rows = client.artifacts(build_id)
    Output(json).rows(
        rows,
        {
            "artifact": lambda row: row.artifact_type,
            "state": lambda row: row.state,
            "size": lambda row: amount(row.size),
            "digest": lambda row: (row.digest or "")[:12],
            "reason": lambda row: row.reason,
        },
    )
