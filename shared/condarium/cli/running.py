"""`condarium run` and `condarium cache`: a command in an environment that is downloaded once."""

import hashlib
import json
from contextlib import suppress
from typing import Annotated

import typer

from condarium.cli import completion, references, shell, unpacked
from condarium.cli.output import Json, Output, amount, say
from condarium.cli.session import connect, server
from condarium.client import ServerAway
from condarium.errors import InvalidInput

cache = typer.Typer(help="Environments that `run` and `env shell` have unpacked here.", no_args_is_help=True)


def run(
    environment: Annotated[
        str,
        typer.Argument(
            help="NAME, NAMESPACE/NAME, with :TAG (g3, a label, a hash, a build's number), or a build's number",
            autocompletion=completion.environments,
        ),
    ],
    command: Annotated[list[str] | None, typer.Argument(help="-- COMMAND...")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Runs a command in an environment: downloads it, unpacks it into a cache, once for its lock, and runs.

    Options of this command stand before the environment. Ends as the command does.
    """
    words = command or []
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise InvalidInput(f"what is to run in {environment}? write: condarium run {environment} -- COMMAND...")
    memory = unpacked.root() / ".references" / hashlib.sha256(f"{server()} {environment}".encode()).hexdigest()
    try:
        with connect() as client:
            build = references.resolve(client, environment)
            label = f"{build.condarium.namespace}/{build.condarium.environment}"
            key = unpacked.key_of(build)
            prefix = unpacked.prefix(client, build, quiet=quiet)
            with suppress(OSError):
                memory.parent.mkdir(exist_ok=True)
                memory.write_text(json.dumps({"key": key, "label": label}))
    except ServerAway as error:
        try:
            known = json.loads(memory.read_text())
            found, label = unpacked.known_prefix(known["key"]), str(known["label"])
        except (OSError, ValueError, KeyError):
            raise error from None
        if found is None:
            raise
        say(f"condarium: the server is away; {environment} runs as it was when it answered last")
        prefix = found
    shell.run(prefix, label, words)


@cache.command("list")
def list_cache(json: Json = False) -> None:
    """Lists what is unpacked here, the least used first."""
    rows = [
        {
            "environment": entry.label,
            "platform": entry.platform,
            "size": entry.size if json else amount(entry.size),
            "used": unpacked.since(entry.used_at),
            "directory": str(entry.path),
        }
        for entry in unpacked.entries()
    ]
    Output(json).table(rows, ["environment", "platform", "size", "used", "directory"])


@cache.command("clean")
def clean(
    older: Annotated[float, typer.Option("--older-than", help="Days without use; 0 is all.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Takes away what is unpacked here; what something runs in stays."""
    gone, busy = unpacked.evict(older)
    freed = sum(entry.size for entry in gone)
    for entry in busy:
        say(f"{entry.label} stays: something runs in {entry.path}")
    Output(json).done(
        f"{len(gone)} environments went, {amount(freed) or '0 B'}",
        removed=[str(entry.path) for entry in gone],
        in_use=[str(entry.path) for entry in busy],
        bytes=freed,
    )
