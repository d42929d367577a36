"""What changes, package by package: as a table, as a comment for a pull request."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from condarium.cli.output import Output
from condarium.client.models import BuildPackage, Changes, PinnedPackage
from condarium.client.models.solves import ChangedPackage

#: a comment that a program may look for, to write over the one of the last run
MARK = "<!-- condarium: {} -->"
#: rows of a comment; GitHub takes 65,536 characters
MOST_ROWS = 400


def between(before: Iterable[BuildPackage], after: Iterable[BuildPackage]) -> Changes:
    """What changes from the packages of one build to those of another, on one platform."""
    old = {(row.condarium.kind, row.name): _pinned(row) for row in before}
    new = {(row.condarium.kind, row.name): _pinned(row) for row in after}
    return Changes(
        added=[new[key] for key in sorted(new.keys() - old.keys(), key=_by_name)],
        removed=[old[key] for key in sorted(old.keys() - new.keys(), key=_by_name)],
        changed=[
            ChangedPackage(name=key[1], kind=key[0], before=old[key], after=new[key])
            for key in sorted(old.keys() & new.keys(), key=_by_name)
            if old[key] != new[key]
        ],
    )


def _by_name(key: tuple[str, str]) -> tuple[str, str]:
    return key[1], key[0]


def _pinned(row: BuildPackage) -> PinnedPackage:
    return PinnedPackage(name=row.name, kind=row.condarium.kind, version=row.version, build=row.condarium.build or "")


def count(changes: Mapping[str, Changes]) -> int:
    """How many packages change, on all platforms together."""
    return sum(len(each.added) + len(each.removed) + len(each.changed) for each in changes.values())


def said(changes: Mapping[str, Changes]) -> str:
    """`2 added, 1 removed, 3 changed`."""
    numbers = {
        "added": sum(len(each.added) for each in changes.values()),
        "removed": sum(len(each.removed) for each in changes.values()),
        "changed": sum(len(each.changed) for each in changes.values()),
    }
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number) or "no package changes"


def _rows(changes: Mapping[str, Changes]) -> Iterator[dict[str, Any]]:
    for platform, each in changes.items():
        for item in each.added:
            yield _row("+", platform, item.name, item.kind, "", _shown(item))
        for item in each.removed:
            yield _row("-", platform, item.name, item.kind, _shown(item), "")
        for pair in each.changed:
            only_build = pair.before.version == pair.after.version
            before, after = (_shown(pair.before, only_build), _shown(pair.after, only_build))
            yield _row("~", platform, pair.name, pair.kind, before, after)


def _row(mark: str, platform: str, name: str, kind: str, before: str, after: str) -> dict[str, Any]:
    return {"": mark, "package": name, "kind": kind, "before": before, "after": after, "platform": platform}


def _shown(item: PinnedPackage, with_build: bool = False) -> str:
    return f"{item.version} {item.build}".strip() if with_build else item.version


def print_table(changes: Mapping[str, Changes]) -> None:
    """For people: `+` added, `-` removed, `~` changed."""
    rows = list(_rows(changes))
    if rows:
        columns = ["", "package", "before", "after", "kind"] + (["platform"] if len(changes) > 1 else [])
        Output(False).table(rows, columns)


def markdown(name: str, changes: Mapping[str, Changes], *, is_new: bool, same: bool) -> str:
    """A comment for a pull request; `same`: no build is needed."""
    rows = list(_rows(changes))
    title = f"### `{name}`: {'nothing to build' if same else said(changes)}"
    lines = [MARK.format(name), title, ""]
    if is_new:
        lines += ["The environment is new.", ""]
    elif not same and not rows:
        lines += ["The specification changes, its packages do not.", ""]
    if rows:
        several = len(changes) > 1
        lines += ["| | package | before | after |" + (" platform |" if several else "")]
        lines += ["|---|---|---|---|" + ("---|" if several else "")]
        lines += [_line(row, several) for row in rows[:MOST_ROWS]]
        if len(rows) > MOST_ROWS:
            lines += ["", f"... and {len(rows) - MOST_ROWS} more"]
    return "\n".join(lines).rstrip() + "\n"


def _line(row: Mapping[str, Any], several: bool) -> str:
    word = {"+": "added", "-": "removed", "~": "changed"}[row[""]]
    cells = [word, f"`{row['package']}`" + (" (pip)" if row["kind"] == "pypi" else ""), row["before"], row["after"]]
    cells += [row["platform"]] if several else []
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"
