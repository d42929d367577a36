"""`condarium gc`, `condarium store verify`, `condarium pin`, and what keeps things (`condarium why`)."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from condarium.cli import codes, completion, references
from condarium.cli.output import Json, Output, amount, minute, say
from condarium.cli.session import connect, split_environment
from condarium.client import Client, NotThere
from condarium.client.models import Sweep
from condarium.errors import InvalidInput

store = typer.Typer(no_args_is_help=True, help="The store: prefixes, and the bytes that are served.")

Wait = Annotated[float, typer.Option(min=0, help="Seconds until the report is no longer waited for.")]
Build = Annotated[
    str,
    typer.Argument(help="NAMESPACE/NAME, with :TAG for a build that is not current", autocompletion=completion.builds),
]


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, and why the rest stays.")] = False,
    until_free: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="End when so much of the disk is free, such as 30%.")
    ] = None,
    grace: Annotated[
        int | None, typer.Option(min=0, metavar="SECONDS", help="In place of the setting garbage_grace_seconds.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Ask for nothing; show the last sweeps.")] = False,
    wait: Wait = 600.0,
    json: Json = False,
) -> None:
    """Deletes what nothing needs, least recently used first; what is needed never goes."""
    with connect() as client:
        if last:
            _list(client, json)
            return
        number = client.sweep(dry_run=dry_run, until_free=_share(until_free), grace_seconds=grace)
        found = _ended(client, number, wait)
    if json:
        Output(json).value(found)
    else:
        _show_garbage(found, dry_run)
    _end(found)


def _share(text: str | None) -> float | None:
    """`30%` or `0.3`. Raises InvalidInput."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InvalidInput(f"--until-free {text}: write a part of the disk, such as 30%")
    return share


def _ended(client: Client, number: int, seconds: float) -> Sweep:
    until, pause = time.monotonic() + seconds, 0.1
    while not (found := client.sweep_report(number)).ended and time.monotonic() < until:
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)
    return found


def _show_garbage(found: Sweep, dry_run: bool) -> None:
    rows = [
        {"part": part.part, "kind": kind, "count": each["count"], "bytes": amount(each["bytes"]), "": word}
        for part in found.parts
        for key, word in (("freed", "would go" if dry_run else "gone"), ("waiting", "waits for the grace period"))
        for kind, each in part.report.get(key, {}).items()
    ]
    if rows:
        Output(False).table(rows, ["part", "kind", "count", "bytes", ""])
    elif found.ended:
        say("there is no garbage")
    for part in found.parts:
        for root, count in part.report.get("kept", {}).items():
            say(f"kept: {count} builds ({root})")
        for path, users in part.report.get("in_use", {}).items():
            say(f"stays: {path} is in use: {users}")


def _list(client: Client, json: bool) -> None:
    Output(json).rows(
        client.sweeps(),
        {
            "id": lambda row: row.id,
            "what": lambda row: row.verb,
            "asked (UTC)": lambda row: minute(row.created_on),
            "by": lambda row: row.created_by,
            "state": lambda row: ", ".join(f"{part.part} {part.state}" for part in row.parts),
            "freed": lambda row: amount(
                sum(each["bytes"] for part in row.parts for each in part.report.get("freed", {}).values())
            ),
        },
    )


def _end(found: Sweep) -> None:
    """Ends the command with what the parts say went wrong."""
    for part in found.parts:
        if part.state == "FAILED":
            say(f"{part.part}: {part.message}")
        elif part.state != "DONE":
            say(f"{part.part}: nobody has done it yet (is a {'builder' if part.part == 'store' else 'packager'} up?)")
    if any(part.state != "DONE" for part in found.parts):
        raise typer.Exit(codes.FAILED)


@store.command("verify")
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is damaged.")] = False,
    sample: Annotated[float, typer.Option(help="The part of the blobs that is read, 0 to 1.")] = 1.0,
    wait: Wait = 3600.0,
    json: Json = False,
) -> None:
    """Compares prefixes with their locks and blobs with their digests; 1 when something is damaged and not mended."""
    if not 0 < sample <= 1:
        raise InvalidInput(f"--sample {sample}: a part between 0 and 1")
    with connect() as client:
        found = _ended(client, client.verify(repair=repair, sample=sample), wait)
    if json:
        Output(json).value(found)
    else:
        for part in found.parts:
            _show_damage(part.part, part.report)
    _end(found)
    if any(part.report.get("bad_count", 0) > part.report.get("repaired", 0) for part in found.parts):
        raise typer.Exit(codes.FAILED)


def _show_damage(part: str, report: dict[str, Any]) -> None:
    if "checked" not in report:
        return
    what = "blobs" if part == "storage" else "prefixes"
    print(f"{part}: {report['checked']} {what} read, {report['bad_count']} damaged, {report['repaired']} mended")
    for each in report["bad"]:
        if part == "storage":
            print(f"  sha256:{each['digest']} is {each['what']}{_of_base(each.get('base_images', ()))}")
            continue
        print(
            f"  {each['prefix']}: {each['count']} {'problem' if each['count'] == 1 else 'problems'}"
            + (", mended" if each["repaired"] else "")
        )
        for problem in each["problems"][:10]:
            print(f"    {problem['path']} {problem['what']}".rstrip())


def _of_base(names: Sequence[str]) -> str:
    return f", a layer of the base image {', '.join(names)}: pull or import it again" if names else ""


def pin(
    build: Build,
    reason: Annotated[str, typer.Option(help="What it is kept for.")] = "",
    days: Annotated[float | None, typer.Option(min=0.01, help="How long; without it for ever.")] = None,
    json: Json = False,
) -> None:
    """Keeps a build, whatever comes after it."""
    until = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    with connect() as client:
        found = references.resolve(client, build)
        said = client.pin(found.id, reason=reason, expires_on=until)
    Output(json).done(said, build_id=found.id, reason=reason, expires_on=until.isoformat() if until else None)


def unpin(build: Build, json: Json = False) -> None:
    """Takes the pin of a build away."""
    with connect() as client:
        found = references.resolve(client, build)
        try:
            said = client.unpin(found.id)
        except NotThere as error:
            raise NotThere(f"build {found.id} is not pinned", 404) from error
    Output(json).done(said, build_id=found.id)


def keeps(target: str, json: bool) -> None:
    """Says what keeps an environment, a build, a digest or a prefix."""
    with connect() as client:
        found = client.why(named(target))
    if json:
        Output(json).value(found)
        return
    print(f"{found.target}: {found.what}")
    for chain in found.chains:
        print(f"  {' -> '.join(chain.steps)}: {chain.detail} ({chain.kind})")
    if not found.kept:
        since = f" since {minute(found.condemned_on)} UTC" if found.condemned_on else ""
        print(f"  nothing keeps it: it is garbage{since}, and comes back when somebody asks for it")


def named(target: str) -> str:
    """With the namespace that is meant where none is named; digests as they are, and what a symlink here leads to.

    Raises InvalidInput.
    """
    if target.startswith("/"):
        # An environment's symlink is what people have in hand; the server knows prefixes. What leads to the store
        # stays as it was said: it knows that by its own name.
        path = target.rstrip("/")
        return (
            os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path))) if os.path.islink(path) else path
        )
    bare = target.removeprefix("sha256:")
    if "/" in target or (len(bare) == 64 and all(c in "0123456789abcdef" for c in bare)):
        return target
    if bare != target:
        raise InvalidInput(f"{target} is no digest: write sha256: and 64 hex digits, in lower case")
    place, colon, tag = target.partition(":")
    return "/".join(split_environment(place)) + colon + tag
