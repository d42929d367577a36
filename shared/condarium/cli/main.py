"""The entry: puts the commands together and turns errors into sentences and exit codes."""

import os
import sys
from typing import Annotated

import typer

from condarium import __version__, config
from condarium.cli import builds, downloads, environments
from condarium.cli.output import Output, errors
from condarium.client import ApiError, NotThere, Refused, ServerAway
from condarium.errors import CondariumError, ConfigError

app = typer.Typer(
    name="condarium",
    help="Builds and serves conda environments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)
app.add_typer(environments.app, name="env")
app.add_typer(builds.app, name="build")
app.command("download")(downloads.download)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"condarium {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Settings come from the environment: CONDARIUM_API_URL, CONDARIUM_TOKEN, CONDARIUM_NAMESPACE, CONDARIUM_STORE."""


@app.command("check-config")
def check_config(
    list_all: Annotated[bool, typer.Option("--list", help="Print every setting with its default.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Checks every CONDARIUM_* variable of the environment, as the services do when they start."""
    if list_all:
        rows = [
            {"name": item.name, "default": item.default, "description": item.description}
            for item in sorted(config.REGISTER.values(), key=lambda item: item.name)
        ]
        Output(json).table(rows, ["name", "default", "description"])
        return
    config.check_all(os.environ)
    count = sum(name.startswith(config.PREFIX) for name in os.environ)
    Output(json).done(f"{count} settings, all known and well-formed", count=count)


_CODES: tuple[tuple[type[Exception], int], ...] = (
    (Refused, 3),
    (NotThere, 4),
    (ServerAway, 5),
    (ApiError, 2),
    (ConfigError, 2),
    (CondariumError, 2),
)


def main() -> None:
    """The program; ends the process."""
    try:
        # typer says itself what is wrong with a command line: 2; its exceptions are no part of its interface.
        app(prog_name="condarium")
    except tuple(kind for kind, _ in _CODES) as error:
        errors.print(f"condarium: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(next(number for kind, number in _CODES if isinstance(error, kind)))
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has had enough of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
