"""`condarium env ...`"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from condarium.cli import builds, shell
from condarium.cli.output import Output, amount
from condarium.cli.session import connect, default_namespace, find_environment, setting, split_environment
from condarium.client import ApiError
from condarium.errors import InvalidInput, SpecificationError

app = typer.Typer(help="Environments: names that point to builds.", no_args_is_help=True)

Environment = Annotated[str, typer.Argument(help="NAME or NAMESPACE/NAME")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help="environment.yml; - reads standard input")],
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Where it goes.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the build to its end.")] = True,
    json: Json = False,
) -> None:
    """Submits an environment.yml and follows its build. A file that names an existing environment updates it."""
    text = read(file)
    with connect() as client:
        try:
            build_id = client.submit(text, namespace=namespace or default_namespace())
        except ApiError as error:
            if error.status != 400:
                raise
            raise InvalidInput(f"{file}: {error}") from None
        if not wait:
            Output(json).done(f"build {build_id} is queued", build_id=build_id)
            return
        ended = builds.follow(client, build_id, quiet=json)
        builds.report(ended, json)


@app.command("list")
def list_environments(
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only this one.")] = None,
    search: Annotated[str | None, typer.Option(help="Part of a name.")] = None,
    json: Json = False,
) -> None:
    """Lists the environments you may see."""
    with connect() as client:
        rows = client.environments(namespace=namespace, search=search)
    if json:
        Output(json).value(rows)
        return
    shown = [
        {
            "environment": f"{row['namespace']['name']}/{row['name']}",
            "current build": row["current_build_id"],
            "description": row["description"],
        }
        for row in rows
    ]
    Output(json).table(shown, ["environment", "current build", "description"])


@app.command("show")
def show(environment: Environment, json: Json = False) -> None:
    """Shows an environment, its current build and its last ten builds."""
    namespace, name = split_environment(environment)
    with connect() as client:
        found = find_environment(client, namespace, name)
        current = client.build(found["current_build_id"]) if found["current_build_id"] else None
        history = [row for row, _ in zip(client.builds(namespace=namespace, name=name), range(10), strict=False)]
    if json:
        Output(json).value({**found, "current_build": current, "builds": history})
        return
    pairs: dict[str, Any] = {"environment": f"{namespace}/{name}", "description": found["description"]}
    if current is not None:
        pairs |= {
            "current build": f"{current['id']} (generation {current['condarium']['generation']})",
            "size": amount(current["size"]),
            "directory": current["condarium"]["prefix"],
            "made": ", ".join(item["artifact_type"] for item in current["build_artifacts"]),
        }
        if registry := setting("REGISTRY"):
            pairs["image"] = f"{registry}/{namespace}/{name}:latest"
    Output(json).details(pairs)
    print()
    builds.table(history, json)


@app.command("rollback")
def rollback(
    environment: Environment,
    build: Annotated[int | None, typer.Option("--build", help="To which; without it, the one before.")] = None,
    json: Json = False,
) -> None:
    """Points an environment to an earlier completed build."""
    namespace, name = split_environment(environment)
    with connect() as client:
        current = find_environment(client, namespace, name)["current_build_id"]
        target = build
        if target is None:
            completed = client.builds(namespace=namespace, name=name, status="COMPLETED")
            target = next((row["id"] for row in completed if current and row["id"] < current), None)
        if target is None:
            raise InvalidInput(f"{namespace}/{name} has no completed build before the current one")
        client.activate(namespace, name, target)
    Output(json).done(f"{namespace}/{name} points to build {target} now", build_id=target, previous=current)


@app.command("delete")
def delete(
    environment: Environment,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Deletes an environment and its builds."""
    namespace, name = split_environment(environment)
    with connect() as client:
        if not yes:
            find_environment(client, namespace, name)
            typer.confirm(f"Delete {namespace}/{name} with all its builds?", abort=True)
        client.delete_environment(namespace, name)
    Output(json).done(f"{namespace}/{name} is deleted", deleted=f"{namespace}/{name}")


@app.command("shell", context_settings={"allow_interspersed_args": False})
def open_shell(
    environment: Environment,
    command: Annotated[list[str] | None, typer.Argument(help="Run this instead of a shell.")] = None,
) -> None:
    """Opens a shell in an environment: in its directory where the store is on this machine, else in a download."""
    namespace, name = split_environment(environment)
    prefix = shell.local_prefix(setting("STORE"), namespace, name)
    if prefix is None:
        with connect() as client:
            prefix = shell.downloaded_prefix(client, namespace, name)
    # All behind the environment is the command's; a `--` between them is allowed and says the same.
    words = command or []
    shell.run(prefix, f"{namespace}/{name}", words[1:] if words[:1] == ["--"] else words)


@app.command("hash")
def print_hash(
    file: Annotated[Path, typer.Argument(help="environment.yml; - reads standard input")], json: Json = False
) -> None:
    """Checks an environment.yml and prints the hash of its specification, without a server."""
    from condarium.conda import matchspec
    from condarium.domain.specification import parse

    try:
        specification = parse(read(file), check_match_spec=matchspec.check)
    except SpecificationError as error:
        raise InvalidInput(f"{file}: {error}") from None
    if json:
        Output(json).value({"sha256": specification.hash, "canonical": specification.canonical()})
    else:
        print(specification.hash)


def read(file: Path) -> str:
    """The text of a file or of standard input. Raises InvalidInput."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
