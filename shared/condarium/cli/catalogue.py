"""`condarium channel list`, `condarium package ...`, `condarium solve`"""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from condarium.cli import completion
from condarium.cli.files import read
from condarium.cli.following import waiting
from condarium.cli.output import Json, Output, amount, minute, say
from condarium.cli.session import connect, default_namespace
from condarium.client import Wrong
from condarium.client.models import SolveAnswer
from condarium.errors import InvalidInput

channel = typer.Typer(help="Channels whose packages can be searched.", no_args_is_help=True)
package = typer.Typer(help="Packages of the channels.", no_args_is_help=True)

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


@channel.command("list")
def list_channels(json: Json = False) -> None:
    """Lists channels: how many packages they have, how current that is, and why one is not."""
    with connect() as client:
        rows = list(client.channels())
    Output(json).rows(
        rows,
        {
            "channel": lambda row: row.name,
            "packages": lambda row: row.condarium.packages,
            "updated (UTC)": lambda row: minute(row.last_update) or "not yet",
            "error": lambda row: row.condarium.error,
        },
    )


@package.command("search")
def search(
    name: Annotated[str, typer.Argument(help="Part of a name")],
    exact: Annotated[bool, typer.Option("--exact", help="All of the name.")] = False,
    in_channel: Annotated[str, typer.Option("--channel", "-c", help="Only of this one.")] = "",
    names: Annotated[bool, typer.Option("--names", help="Each name once.")] = False,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Searches packages: a row for each version, in conda's order."""
    with connect() as client:
        found = client.search_packages(name, exact=exact, channel=in_channel, distinct_on=["name"] if names else ())
        rows = list(islice(found, limit))
    columns = {
        "name": lambda row: row.name,
        "version": lambda row: row.version,
        "channel": lambda row: row.channel.name,
        "license": lambda row: row.license,
        "summary": lambda row: row.summary,
    }
    Output(json).rows(rows, columns)
    if len(rows) == limit and not json:
        say(f"the first {limit}; --limit shows more")


@package.command("records")
def records(
    name: Annotated[str, typer.Argument(help="Its whole name")],
    version: Annotated[str, typer.Option(help="Only of this one.")] = "",
    in_channel: Annotated[str, typer.Option("--channel", "-c", help="Only of this one.")] = "",
    subdir: Annotated[str, typer.Option(help="Such as linux-64.")] = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Lists the files of a package, with what each depends on."""
    with connect() as client:
        found = client.package_records(name, version=version, channel=in_channel, subdir=subdir)
        rows = list(islice(found, limit))
    Output(json).rows(
        rows,
        {
            "file": lambda row: f"{row.subdir}/{row.file_name}",
            "size": lambda row: amount(row.size),
            "depends": lambda row: ", ".join(row.depends),
        },
    )


def solve(
    file: Annotated[Path, typer.Argument(help="environment.yml or a lockfile; - reads standard input")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Whose settings hold.", autocompletion=completion.namespaces)
    ] = None,
    lockfile: Annotated[bool, typer.Option("--lockfile", help="The file is a lockfile.")] = False,
    json: Json = False,
) -> None:
    """Prints the packages that a file would become, and builds nothing."""
    text = read(file)
    with connect() as client, waiting(f"solving {file}", quiet=json):
        try:
            found = client.solve(text, namespace=namespace or default_namespace(), is_lockfile=lockfile)
        except Wrong as error:
            raise InvalidInput(f"{file}: {error}") from None
    if json:
        Output(json).value(found)
    else:
        _print(found)


def _print(found: SolveAnswer) -> None:
    rows = [
        {
            "name": row.name,
            "version": row.version,
            "build": row.build,
            "kind": row.condarium.kind,
            "size": amount(row.size),
            "platform": platform,
        }
        for platform, packages in found.solve.items()
        for row in packages
    ]
    columns = ["name", "version", "build", "kind", "size"] + (["platform"] if len(found.solve) > 1 else [])
    Output(False).table(rows, columns)
    total = sum(row.size for packages in found.solve.values() for row in packages)
    say(f"{len(rows)} packages, {amount(total)} to download")
