"""`condarium env ...`"""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from condarium.cli import builds, completion, shell, unpacked
from condarium.cli.files import read
from condarium.cli.following import follow, report
from condarium.cli.output import Json, Output, Yes, amount, confirm
from condarium.cli.session import (
    connect,
    default_namespace,
    find_environment,
    load_build,
    naming,
    read_labels,
    setting,
    split_environment,
)
from condarium.client import Client, Wrong
from condarium.client.models import BuildRow
from condarium.errors import InvalidInput, SpecificationError

app = typer.Typer(help="Environments: names that point to builds.", no_args_is_help=True)

Environment = Annotated[str, typer.Argument(help="NAME or NAMESPACE/NAME", autocompletion=completion.environments)]
File = Annotated[Path, typer.Argument(help="environment.yml; - reads standard input")]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Where it goes.", autocompletion=completion.namespaces),
]


@app.command("create")
def create(
    file: File,
    namespace: Namespace = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the build to its end.")] = True,
    lockfile: Annotated[bool, typer.Option("--lockfile", help="The file is a lockfile, built exactly.")] = False,
    name: Annotated[str, typer.Option(help="Of the environment, where the file has none.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Submits an environment.yml and follows its build. A file that names an existing environment updates it."""
    labels = read_labels(label or [])
    text = read(file)
    with connect() as client:
        try:
            build_id = client.submit(
                text,
                namespace=namespace or default_namespace(),
                name=name or None,
                is_lockfile=lockfile,
                labels=labels,
            )
        except Wrong as error:
            raise InvalidInput(f"{file}: {error}") from None
        if not wait:
            Output(json).done(f"build {build_id} is queued", build_id=build_id)
            return
        report(follow(client, build_id, quiet=json), json)


@app.command("list")
def list_environments(
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Only this one.", autocompletion=completion.namespaces),
    ] = None,
    search: Annotated[str | None, typer.Option(help="Part of a name.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE or KEY of the current build.")] = None,
    package: Annotated[list[str] | None, typer.Option(help="Only with this package.")] = None,
    json: Json = False,
) -> None:
    """Lists the environments you may see."""
    with connect() as client:
        rows = list(client.environments(namespace=namespace, search=search, label=label or (), packages=package or ()))
    Output(json).rows(
        rows,
        {
            "environment": lambda row: f"{row.namespace.name}/{row.name}",
            "current build": lambda row: row.current_build_id,
            "description": lambda row: row.description,
        },
    )


@app.command("show")
def show(environment: Environment, json: Json = False) -> None:
    """Shows an environment, its current build and its last ten builds."""
    namespace, name = split_environment(environment)
    with connect() as client:
        found = find_environment(client, namespace, name)
        current = client.build(found.current_build_id) if found.current_build_id else None
        history = _history(client, namespace, name, 10)
    if json:
        Output(json).value({**found.to_json(), "current_build": current, "builds": history})
        return
    pairs: dict[str, Any] = {"environment": f"{namespace}/{name}", "description": found.description}
    if current is not None:
        pairs |= {
            "current build": f"{current.id} (generation {current.condarium.generation})",
            "size": amount(current.size),
            "directory": current.condarium.prefix,
            "labels": ", ".join(f"{key}={value}" for key, value in current.condarium.labels.items()),
            "made": ", ".join(item.artifact_type for item in current.build_artifacts),
        }
        if registry := setting("REGISTRY"):
            pairs["image"] = f"{registry}/{namespace}/{name}:latest"
    Output(json).details(pairs)
    print()
    builds.table(history, json)


def _history(client: Client, namespace: str, name: str, most: int) -> list[BuildRow]:
    return list(islice(client.builds(namespace=namespace, name=name), most))


@app.command("update")
def update(
    environment: Environment,
    description: Annotated[str, typer.Option(help="A sentence about it.")],
    json: Json = False,
) -> None:
    """Describes an environment anew. What is in it is changed by `create` and `apply`."""
    namespace, name = split_environment(environment)
    with connect() as client:
        find_environment(client, namespace, name)
        client.describe(namespace, name, description)
    Output(json).done(f"{namespace}/{name} is described", environment=f"{namespace}/{name}", description=description)


@app.command("activate")
def activate(
    environment: Environment,
    build: Annotated[int, typer.Argument(help="A completed build of it", min=1)],
    json: Json = False,
) -> None:
    """Points an environment to one of its completed builds."""
    _point(environment, build, json)


@app.command("rollback")
def rollback(
    environment: Environment,
    build: Annotated[int | None, typer.Option("--build", help="To which; without it, the one before.")] = None,
    json: Json = False,
) -> None:
    """Points an environment to an earlier completed build."""
    _point(environment, build, json)


def _point(environment: str, build: int | None, json: bool) -> None:
    namespace, name = split_environment(environment)
    with connect() as client:
        current = find_environment(client, namespace, name).current_build_id
        target = build or previous_build(client, namespace, name, current)
        client.activate(namespace, name, target)
    Output(json).done(f"{namespace}/{name} points to build {target} now", build_id=target, previous=current)


def previous_build(client: Client, namespace: str, name: str, current: int | None) -> int:
    """The completed build before that one. Raises InvalidInput."""
    older = (
        row.id
        for row in client.builds(namespace=namespace, name=name, status="COMPLETED")
        if current is not None and row.id < current and row.condarium.deleted_on is None
    )
    found = next(older, None)
    if found is None:
        raise InvalidInput(f"{namespace}/{name} has no completed build before build {current}")
    return found


@app.command("delete")
def delete(environment: Environment, yes: Yes = False, json: Json = False) -> None:
    """Deletes an environment and its builds."""
    namespace, name = split_environment(environment)
    with connect() as client:
        if not yes:
            find_environment(client, namespace, name)
            confirm(f"Delete {namespace}/{name} with all its builds?")
        with naming(f"environment {namespace}/{name}", "env"):
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
            current = find_environment(client, namespace, name).current_build_id
            if current is None:
                raise InvalidInput(f"{namespace}/{name} has no completed build yet")
            prefix = unpacked.prefix(client, load_build(client, current))
    # All behind the environment is the command's; a `--` between them is allowed and says the same.
    words = command or []
    shell.run(prefix, f"{namespace}/{name}", words[1:] if words[:1] == ["--"] else words)


@app.command("hash")
def print_hash(file: File, json: Json = False) -> None:
    """Checks an environment.yml and prints the hash of its specification, without a server.

    A server whose settings change what is built has another one for it: `solve --json` says which.
    """
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
