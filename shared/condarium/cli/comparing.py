"""`condarium env diff` and `condarium why`: two builds by package, and why a package is there."""

import json as json_format
from itertools import pairwise
from typing import Annotated, Any

import typer

from condarium.cli import completion, differences, garbage
from condarium.cli.environments import Environment, previous_build
from condarium.cli.output import Json, Output, say
from condarium.cli.session import connect, current_build, find_build, load_build, split_environment
from condarium.client import Client
from condarium.client.models import Build, Changes
from condarium.domain import lock_reasons
from condarium.domain.lock_reasons import Step
from condarium.domain.lockfile.origin import KEY, read_origins
from condarium.errors import InvalidInput

#: how long the lockfile of a fresh build is waited for
WAIT_SECONDS = 120.0
Platform = Annotated[str, typer.Option(help="Where a build has several, such as linux-64.")]


def diff(
    environment: Environment,
    before: Annotated[
        int | None, typer.Argument(help="A build's number; without it, the one before the current")
    ] = None,
    after: Annotated[int | None, typer.Argument(help="A build's number; without it, the current one")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a comment for a pull request.")] = False,
    json: Json = False,
) -> None:
    """Compares two builds by package: `+` added, `-` removed, `~` another version or build."""
    namespace, name = split_environment(environment)
    with connect() as client:
        second = after or current_build(client, namespace, name)
        first = before or previous_build(client, namespace, name, second)
        changes = compare(client, load_build(client, first), load_build(client, second))
    title = f"{namespace}/{name}"
    if json:
        Output(json).value({"environment": title, "before": first, "after": second, "changes": changes})
    elif markdown:
        print(differences.markdown(title, changes, is_new=False, same=False), end="")
    else:
        say(f"{title}: build {first} to build {second}: {differences.said(changes)}")
        differences.print_table(changes)


def compare(client: Client, before: Build, after: Build) -> dict[str, Changes]:
    """What changes on each platform. Raises InvalidInput for a build without a lock."""
    for build in (before, after):
        if not build.condarium.locks:
            raise InvalidInput(f"build {build.id} has no packages: it is {build.status}")
    platforms = sorted({*before.condarium.locks, *after.condarium.locks})
    return {
        platform: differences.between(
            client.packages(before.id, platform=platform) if platform in before.condarium.locks else (),
            client.packages(after.id, platform=platform) if platform in after.condarium.locks else (),
        )
        for platform in platforms
    }


def why(
    package: Annotated[
        str, typer.Argument(help="A package's name; alone: an environment, ENVIRONMENT:TAG, sha256, or prefix")
    ],
    environment: Annotated[
        str | None,
        typer.Argument(help="NAME, NAMESPACE/NAME, or a build's number", autocompletion=completion.builds),
    ] = None,
    platform: Platform = "",
    most: Annotated[int, typer.Option("--most", min=1, help="How many ways are shown.")] = 10,
    json: Json = False,
) -> None:
    """Says why a package is in an environment: the ways that lead to it from what was asked for. With one argument,
    what keeps an environment, a build, a digest or a prefix from being deleted as garbage."""
    if environment is None:
        garbage.keeps(package, json)
        return
    wanted = package.lower()
    with connect() as client:
        build = load_build(client, find_build(client, environment))
        document = json_format.loads(client.lockfile(build.id, wait_seconds=WAIT_SECONDS))
    known = document["metadata"]["platforms"]
    chosen = platform or known[0]
    if chosen not in known:
        raise InvalidInput(f"build {build.id} is not for {chosen}; its platforms are {', '.join(known)}")
    rows = {row["name"]: row for row in document["package"] if row["platform"] == chosen}
    if wanted not in rows:
        raise InvalidInput(f"{package} is not in build {build.id} of {_title(build)}")
    packages = {name: (row["version"], row["dependencies"]) for name, row in rows.items()}
    asked = _asked_for(build, document, chosen)
    found = lock_reasons.chains(packages, lock_reasons.roots(packages, list(asked)), wanted, most=most)
    words = {lock_reasons.requested_name(spec): spec for spec in asked}
    if json:
        Output(json).value(_as_json(build, chosen, rows[wanted], words, found))
        return
    print(f"{wanted} {rows[wanted]['version']} in build {build.id} of {_title(build)} ({chosen})")
    for way in found:
        print(_sentence(way, words))
    if not found:
        print(_without_way(rows[wanted]))


def _title(build: Build) -> str:
    return f"{build.condarium.namespace}/{build.condarium.environment}"


def _asked_for(build: Build, document: dict[str, Any], platform: str) -> list[str]:
    """Match specs and requirements; what the lock itself says was asked for wins."""
    custom = document["metadata"].get("custom_metadata") or {}
    origin = read_origins(custom.get(KEY)).get(platform)
    listed = build.specification.spec.get("dependencies") or []
    pip = [spec for item in listed if isinstance(item, dict) for spec in item.get("pip") or []]
    conda = (
        list(origin.requested) if origin and origin.requested else [item for item in listed if isinstance(item, str)]
    )
    return [*conda, *pip]


def _sentence(way: tuple[Step, ...], words: dict[str, str]) -> str:
    """`asked for as «numpy >=2»: numpy 2.1.0 -> libblas >=3.9 (3.9.0)`."""
    first = way[0]
    asked = f"asked for as «{words[first.name]}»" if first.name in words else "nothing else needs it"
    shown = [f"{first.name} {first.version}"]
    for above, step in pairwise(way):
        constraint = f" {above.wants}" if above.wants and above.wants != "*" else ""
        shown.append(f"{step.name}{constraint} (is {step.version})")
    return f"  {asked}: {' -> '.join(shown)}"


def _without_way(row: dict[str, Any]) -> str:
    if row["manager"] == "pip":
        return "  a wheel: what wheels depend on is not in a lock; something in the pip section needs it"
    return "  nothing that was asked for leads to it"


def _as_json(
    build: Build, platform: str, row: dict[str, Any], words: dict[str, str], found: list[tuple[Step, ...]]
) -> dict[str, Any]:
    return {
        "build_id": build.id,
        "package": row["name"],
        "version": row["version"],
        "kind": "pypi" if row["manager"] == "pip" else "conda",
        "platform": platform,
        "ways": [
            {
                "asked": words.get(way[0].name),
                "steps": [{"name": step.name, "version": step.version, "wants": step.wants} for step in way],
            }
            for way in found
        ],
    }
