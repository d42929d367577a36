"""`condarium download`: what is served of a build, as files."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from condarium.cli.output import Output, amount, errors
from condarium.cli.session import connect, find_build, load_build
from condarium.client import Client
from condarium.errors import InvalidInput


class Kind(StrEnum):
    """What can be downloaded."""

    ARCHIVE = "archive"
    ARCHIVE_ZST = "archive-zst"
    CONDA_LOCK = "conda-lock"
    EXPLICIT = "explicit"
    PIXI = "pixi"
    YAML = "yaml"
    LOGS = "logs"


#: kind -> (path behind the build, query, file name)
_WHERE: dict[Kind, tuple[str, dict[str, str], str]] = {
    Kind.ARCHIVE: ("archive/", {"format": "gz"}, "{name}.tar.gz"),
    Kind.ARCHIVE_ZST: ("archive/", {"format": "zst"}, "{name}.tar.zst"),
    Kind.CONDA_LOCK: ("lockfile/", {"format": "conda-lock"}, "{name}.conda-lock.yml"),
    Kind.EXPLICIT: ("lockfile/", {"format": "explicit"}, "{name}.explicit.txt"),
    Kind.PIXI: ("lockfile/", {"format": "pixi"}, "{name}.pixi.lock"),
    Kind.YAML: ("yaml/", {}, "{name}.yml"),
    Kind.LOGS: ("logs/", {}, "{name}.log"),
}


def download(
    build: Annotated[str, typer.Argument(help="A build's number, or NAME or NAMESPACE/NAME for its current build")],
    kind: Annotated[Kind, typer.Argument(help="What to download")] = Kind.ARCHIVE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file or directory; - is standard output")
    ] = None,
    wait: Annotated[float, typer.Option(help="How many seconds to wait until it is made.", min=0, max=600)] = 300,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Downloads an archive, a lockfile, the exported environment.yml or the log of a build."""
    path, query, pattern = _WHERE[kind]
    with connect() as client:
        build_id = find_build(client, build)
        address = f"build/{build_id}/{path}"
        waiting = 0.0 if kind is Kind.LOGS else wait
        if str(output) == "-":
            with client.download(address, wait_seconds=waiting, **query) as reply:
                for chunk in reply.iter_bytes(1 << 16):
                    sys.stdout.buffer.write(chunk)
            return
        name = load_build(client, build_id)["condarium"]["environment"]
        target = output or Path.cwd()
        if target.is_dir():
            target /= pattern.format(name=name)
        if not target.parent.is_dir():
            raise InvalidInput(f"the directory {target.parent} does not exist")
        size = save(client, address, target, query, waiting, quiet=json)
    Output(json).done(f"{target}: {amount(size)}", path=str(target), size=size, build_id=build_id)


def save(client: Client, address: str, target: Path, query: dict[str, str], wait: float, *, quiet: bool) -> int:
    """Downloads with a progress bar; the file appears when it is whole. Returns its bytes."""
    part = target.with_name(f".{target.name}.part")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    size = 0
    try:
        with (
            Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True) as progress,
            client.download(address, wait_seconds=wait, **query) as reply,
            part.open("wb") as file,
        ):
            total = int(reply.headers.get("content-length", 0)) or None
            line = progress.add_task(target.name, total=total)
            for chunk in reply.iter_raw(1 << 20):
                size += file.write(chunk)
                progress.update(line, advance=len(chunk))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size
