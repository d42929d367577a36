"""`condarium apply`: makes environments what files say, and nothing where they are that already."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from condarium.cli import codes, completion, differences
from condarium.cli.files import read
from condarium.cli.following import follow, say_failure, waiting
from condarium.cli.output import Json, Output, say
from condarium.cli.session import connect, default_namespace, read_labels
from condarium.client import Client, NotMade, Wrong
from condarium.client.models import Build, Changes, SolveAnswer
from condarium.errors import InvalidInput, SpecificationError


class Serving(enum.StrEnum):
    """What `--wait` may name, and the artifact it is."""

    PREFIX = "prefix"
    IMAGE = "image"
    TARBALL = "tarball"


_ARTIFACTS = {Serving.IMAGE: "DOCKER_MANIFEST", Serving.TARBALL: "CONDA_PACK"}


@dataclass(frozen=True)
class Wanted:
    """One file; `title` is namespace/name."""

    file: Path
    text: str
    namespace: str
    name: str
    is_lockfile: bool

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Choices:
    """What of the command line holds for each file."""

    labels: dict[str, str]
    waits: frozenset[Serving]
    seconds: float
    quiet: bool
    again: bool


def apply(
    files: Annotated[
        list[Path], typer.Option("--file", "-f", help="environment.yml; - is standard input; may be repeated.")
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Where they go.", autocompletion=completion.namespaces)
    ] = None,
    name: Annotated[str, typer.Option(help="Of the environment, where the file has none.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and build nothing.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"With --dry-run: end with {codes.WOULD_CHANGE} if there is a change.")
    ] = False,
    wait: Annotated[
        str | None, typer.Option(help="Until when: prefix (the default), image, tarball, or none; a comma list.")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="The longest wait for an image or tarball.")
    ] = 1800,
    label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE such as git=3f2a1c9: a tag of the image; may be repeated.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a comment for a pull request.")] = False,
    lockfile: Annotated[bool, typer.Option("--lockfile", help="The files are lockfiles, built exactly.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Build even if nothing changes.")] = False,
    json: Json = False,
) -> None:
    """Makes environments what files say. Builds nothing where specification and lock are current already.

    Prints REGISTRY/NAMESPACE/NAME@sha256:DIGEST where the image was waited for.
    """
    if json and markdown:
        raise InvalidInput("--json and --markdown are two outputs: give one")
    if exit_code and not dry_run:
        raise InvalidInput("--exit-code is for --dry-run")
    if files.count(Path("-")) > 1:
        raise InvalidInput("standard input can be read once: give -f - once")
    choices = Choices(read_labels(label or []), _waits(wait), seconds, json or markdown, again)
    wanted = [_read(file, namespace, name, lockfile) for file in files]
    double = next((one for one in wanted if sum(one.title == other.title for other in wanted) > 1), None)
    if double is not None:
        raise InvalidInput(f"two files are about {double.title}; give each environment once")
    results: list[dict[str, Any]] = []
    with connect() as client:
        # All of them before anything is built: a fault in the last file stops the first.
        answers = [_solve(client, one, quiet=json) for one in wanted]
        for one, answer in zip(wanted, answers, strict=True):
            shown = _shown(one, answer)
            if markdown:
                print(_markdown(one, answer), end="" if len(wanted) == 1 else "\n")
            if not dry_run:
                shown |= _carry_out(client, one, answer, choices, silent=json or markdown)
                if markdown and "image" in shown:
                    print(f"\nImage: `{shown['image']}`")
            elif not json and not markdown:
                _say_plan(one, answer)
            results.append(shown)
    if json:
        Output(json).value(results)
    if any(result.get("failed") or result.get("status") in ("FAILED", "CANCELED") for result in results):
        raise typer.Exit(codes.FAILED)
    if dry_run and exit_code and not all(result["current"] for result in results):
        raise typer.Exit(codes.WOULD_CHANGE)


def _waits(text: str | None) -> frozenset[Serving]:
    """Raises InvalidInput."""
    if text is None:
        return frozenset({Serving.PREFIX})
    words = {word.strip() for word in text.split(",") if word.strip()}
    if words == {"none"}:
        return frozenset()
    unknown = sorted(words - set(Serving))
    if unknown or not words:
        raise InvalidInput(f"--wait {text!r}: allowed are {', '.join(Serving)} (a comma list), or none")
    return frozenset(Serving(word) for word in words) | {Serving.PREFIX}


def _read(file: Path, namespace: str | None, name: str, is_lockfile: bool) -> Wanted:
    """Checks what can be checked here. Raises InvalidInput."""
    text = read(file)
    space = namespace or default_namespace()
    if is_lockfile:
        if not name:
            raise InvalidInput(f"{file}: a lockfile does not name its environment; give --name")
        return Wanted(file, text, space, name, True)
    # Here, not above: no other command needs the solver's library, which takes its time to load.
    from condarium.conda import matchspec
    from condarium.domain.specification import parse

    try:
        found = parse(text, check_match_spec=matchspec.check)
    except SpecificationError as error:
        raise InvalidInput(f"{file}: {error}") from None
    return Wanted(file, text, space, found.name, False)


def _solve(client: Client, one: Wanted, *, quiet: bool) -> SolveAnswer:
    """Raises InvalidInput with the server's reason."""
    try:
        with waiting(f"solving {one.title}", quiet=quiet):
            return client.solve(one.text, namespace=one.namespace, environment=one.name, is_lockfile=one.is_lockfile)
    except Wrong as error:
        raise InvalidInput(f"{one.file}: {error}") from None


def _is_current(answer: SolveAnswer) -> bool:
    return answer.current is not None and answer.current.same_specification and answer.current.same_locks


def _changes(answer: SolveAnswer) -> dict[str, Changes]:
    return answer.changes or {}


def _shown(one: Wanted, answer: SolveAnswer) -> dict[str, Any]:
    return {
        "environment": one.title,
        "file": str(one.file),
        "specification": answer.specification,
        "locks": answer.locks,
        "current": _is_current(answer),
        "current_build_id": answer.current.build_id if answer.current else None,
        "changes": _changes(answer),
    }


def _markdown(one: Wanted, answer: SolveAnswer) -> str:
    return differences.markdown(one.title, _changes(answer), is_new=answer.current is None, same=_is_current(answer))


def _say_plan(one: Wanted, answer: SolveAnswer) -> None:
    if _is_current(answer):
        assert answer.current is not None
        print(f"{one.title}: nothing to build; build {answer.current.build_id} is what {one.file} says")
        return
    changes = _changes(answer)
    new = ", the environment is new" if answer.current is None else ""
    print(f"{one.title}: {differences.said(changes)}{new}")
    differences.print_table(changes)


def _carry_out(client: Client, one: Wanted, answer: SolveAnswer, choices: Choices, *, silent: bool) -> dict[str, Any]:
    """Builds if need be, waits, says what came of it; the facts."""
    build_id, is_new = _build(client, one, answer, choices)
    if not choices.waits:
        if not silent:
            print(f"{one.title}: build {build_id}" + (" is queued" if is_new else ""))
        return {"build_id": build_id, "built": is_new, "status": client.build(build_id).status}
    build = client.build(build_id)
    if not build.ended:
        build = follow(client, build_id, quiet=choices.quiet)
    facts: dict[str, Any] = {"build_id": build_id, "built": is_new, "status": build.status}
    if build.status != "COMPLETED":
        say_failure(build)
        return facts | {"status_info": build.status_info}
    facts |= _servings(client, build, choices)
    if silent or facts.get("failed"):
        return facts
    if "image" in facts:
        print(facts["image"])
    else:
        print(f"{one.title}: build {build_id} is {'COMPLETED' if is_new else 'current'}")
    return facts


def _build(client: Client, one: Wanted, answer: SolveAnswer, choices: Choices) -> tuple[int, bool]:
    """(id, whether it is new): the current build, one under way for the same specification, or a new one."""
    known = answer.current.build_id if answer.current is not None and _is_current(answer) else None
    known = known or _under_way(client, one, answer)
    if known is None or choices.again:
        try:
            made = client.submit(
                one.text,
                namespace=one.namespace,
                name=one.name,
                is_lockfile=one.is_lockfile,
                labels=choices.labels,
            )
        except Wrong as error:
            raise InvalidInput(f"{one.file}: {error}") from None
        return made, True
    if choices.labels:
        labels = client.build(known).condarium.labels
        if not choices.labels.items() <= labels.items():
            client.label(known, {**labels, **choices.labels})
    if not choices.quiet:
        say(f"{one.title}: nothing to build; build {known} is what {one.file} says")
    return known, False


def _under_way(client: Client, one: Wanted, answer: SolveAnswer) -> int | None:
    """The newest build, if it is of the same specification and has not ended: a run before this one asked for it."""
    newest = next(client.builds(namespace=one.namespace, name=one.name), None)
    if newest is None or newest.ended or newest.condarium.cancel_requested:
        return None
    return newest.id if client.build(newest.id).specification.sha256 == answer.specification else None


def _servings(client: Client, build: Build, choices: Choices) -> dict[str, Any]:
    """Waits for what is asked for; the image's name, or why there is none."""
    facts: dict[str, Any] = {"prefix": build.condarium.prefix}
    try:
        for serving, artifact in _ARTIFACTS.items():
            if serving not in choices.waits:
                continue
            with waiting(f"waiting for the {serving} of build {build.id}", quiet=choices.quiet):
                made = client.wait_artifact(build.id, artifact, seconds=choices.seconds)
            if serving is Serving.IMAGE:
                facts["image"] = client.image(build.id).pinned
            else:
                facts[serving.value] = {"digest": made.digest, "size": made.size}
    except NotMade as error:
        say(f"condarium: {error}")
        facts["failed"] = str(error)
    return facts
