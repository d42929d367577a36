"""The entry: puts the commands together and turns errors into sentences and exit codes."""

import os
import sys
from typing import Annotated

import typer

from condarium import __version__, config
from condarium.cli import (
    accounts,
    applying,
    audits,
    bases,
    builds,
    catalogue,
    codes,
    comparing,
    credentials,
    downloads,
    environments,
    garbage,
    namespaces,
    publishing,
    running,
    settings,
    signing,
    tokens,
    verifying,
)
from condarium.cli.output import Json, Output, say
from condarium.client import ApiError, Conflicting, NotThere, Refused, ServerAway, TooMany, Wrong
from condarium.errors import CondariumError, ConfigError

app = typer.Typer(
    name="condarium",
    help="Builds and serves conda environments.",
    epilog=codes.EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)
#: what follows the environment belongs to the command that runs in it
_REST = {"allow_interspersed_args": False}

app.command("apply")(applying.apply)
app.add_typer(environments.app, name="env")
environments.app.command("diff")(comparing.diff)
environments.app.command("why")(comparing.why)
app.command("gc")(garbage.gc)
app.command("pin")(garbage.pin)
app.command("unpin")(garbage.unpin)
app.add_typer(garbage.store, name="store")
environments.app.command("sbom")(signing.sbom)
app.add_typer(builds.app, name="build")
app.command("run", context_settings=_REST)(running.run)
app.command("download")(downloads.download)
app.command("solve")(catalogue.solve)
app.command("why")(comparing.why)
app.add_typer(running.cache, name="cache")
app.add_typer(catalogue.package, name="package")
app.add_typer(catalogue.channel, name="channel")
app.add_typer(namespaces.app, name="namespace")
app.add_typer(settings.app, name="setting")
app.command("usage")(settings.usage)
app.add_typer(settings.quota, name="quota")
app.add_typer(credentials.app, name="credential")
app.add_typer(publishing.app, name="publish")
app.add_typer(signing.app, name="signing-key")
app.command("verify")(verifying.verify)
app.add_typer(bases.app, name="base")
app.add_typer(audits.app, name="audit")
app.command("events")(audits.events)
app.add_typer(tokens.app, name="token")
app.add_typer(tokens.user, name="user")
app.command("login")(accounts.login)
app.command("logout")(accounts.logout)
app.command("whoami")(accounts.whoami)
app.command("status")(accounts.status)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"condarium {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Settings come from the environment: CONDARIUM_API_URL, CONDARIUM_TOKEN, CONDARIUM_NAMESPACE, CONDARIUM_STORE.

    Without the first two, the server and token of `condarium login` are used.
    """


@app.command("check-config")
def check_config(
    list_all: Annotated[bool, typer.Option("--list", help="Print every setting with its default.")] = False,
    json: Json = False,
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
    (Refused, codes.REFUSED),
    (NotThere, codes.NOT_THERE),
    (ServerAway, codes.AWAY),
    (Wrong, codes.WRONG),
    (Conflicting, codes.WRONG),
    (TooMany, codes.AWAY),
    (ApiError, codes.FAILED),
    (ConfigError, codes.WRONG),
    (CondariumError, codes.WRONG),
)


def main() -> None:
    """The program; ends the process."""
    try:
        # typer says itself what is wrong with a command line: 2; its exceptions are no part of its interface.
        app(prog_name="condarium")
    except tuple(kind for kind, _ in _CODES) as error:
        say(f"condarium: {error}")
        sys.exit(next(number for kind, number in _CODES if isinstance(error, kind)))
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output had enough of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
