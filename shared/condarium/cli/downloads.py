"""`condarium download`: what is served of a build, as files."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from condarium.cli import completion
from condarium.cli.following import transfer
from condarium.cli.output import Json, Output, amount
from condarium.cli.session import connect, find_build, load_build
from condarium.client import Client
from condarium.errors import InvalidInput


class Kind(StrEnum):
    """What can be downloaded."""

    ARCHIVE = "archive"
    ARCHIVE_ZST = "archive-zst"
    INSTALLER = "installer"
    LOCKFILE = "lockfile"
    CONDA_LOCK = "conda-lock"
    EXPLICIT = "explicit"
    PIXI = "pixi"
    YAML = "yaml"
    LOGS = "logs"


#: kind -> (path behind the build, query, file name)
_WHERE: dict[Kind, tuple[str, dict[str, str], str]] = {
    Kind.ARCHIVE: ("archive/", {"format": "gz"}, "{name}.tar.gz"),
    Kind.ARCHIVE_ZST: ("archive/", {"format": "zst"}, "{name}.tar.zst"),
    Kind.INSTALLER: ("installer/", {}, "{name}.sh"),
    Kind.LOCKFILE: ("lockfile/", {"format": "json"}, "{name}.conda-lock.json"),
    Kind.CONDA_LOCK: ("lockfile/", {"format": "conda-lock"}, "{name}.conda-lock.yml"),
    Kind.EXPLICIT: ("lockfile/", {"format": "explicit"}, "{name}.explicit.txt"),
    Kind.PIXI: ("lockfile/", {"format": "pixi"}, "{name}.pixi.lock"),
    Kind.YAML: ("yaml/", {}, "{name}.yml"),
    Kind.LOGS: ("logs/", {}, "{name}.log"),
}


def download(
    build: Annotated[
        str,
        typer.Argument(
            help="A build's number, or NAME or NAMESPACE/NAME for its current build",
            autocompletion=completion.builds,
        ),
    ],
    kind: Annotated[Kind, typer.Argument(help="What to download")] = Kind.ARCHIVE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file or directory; - is standard output")
    ] = None,
    wait: Annotated[float, typer.Option(help="How many seconds to wait until it is made.", min=0, max=600)] = 300,
    platform: Annotated[str, typer.Option(help="Of an archive or installer, such as linux-64.")] = "",
    json: Json = False,
) -> None:
    """Downloads an archive, an installer, a lockfile, the exported environment.yml or the log of a build.

    A download that breaks off goes on where it stood, also when it is asked for again.
    """
    path, query, pattern = _WHERE[kind]
    query = {**query, **({"platform": platform} if platform else {})}
    with connect() as client:
        build_id = find_build(client, build)
        address = f"build/{build_id}/{path}"
        waiting = 0.0 if kind is Kind.LOGS else wait
        if str(output) == "-":
            with client.download(address, wait_seconds=waiting, **query) as reply:
                for chunk in reply.iter_bytes(1 << 16):
                    sys.stdout.buffer.write(chunk)
            return
        name = load_build(client, build_id).condarium.environment
        target = output or Path.cwd()
        if target.is_dir():
            target /= pattern.format(name=name)
        if not target.parent.is_dir():
            raise InvalidInput(f"the directory {target.parent} does not exist")
        try:
            size = save(client, address, target, query, waiting, quiet=json)
            if kind is Kind.INSTALLER:
                target.chmod(target.stat().st_mode | 0o111)
        except OSError as error:
            raise InvalidInput(f"{target} cannot be written: {error.strerror}") from None
    Output(json).done(f"{target}: {amount(size)}", path=str(target), size=size, build_id=build_id)


def save(
    client: Client,
    address: str,
    target: Path,
    query: dict[str, str],
    wait: float,
    *,
    quiet: bool,
    digest: str | None = None,
) -> int:
    """Downloads with a progress bar; the file appears when it is whole. Returns its bytes."""
    with transfer(quiet=quiet) as progress:
        line = progress.add_task(target.name, total=None)

        def seen(so_far: int, total: int | None) -> None:
            progress.update(line, completed=so_far, total=total)

        return client.save(address, target, wait_seconds=wait, digest=digest, progress=seen, **query)
