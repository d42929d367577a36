"""What a generation changes against the one before it, for people and for programs."""

from collections.abc import Mapping
from typing import Any

from condarium.domain.canonical import canonical_json
from condarium.domain.lock import Lock
from condarium.domain.lock_difference import Difference, Pinned, difference


def changes_of(before: Mapping[str, Lock], after: Mapping[str, Lock]) -> dict[str, Difference]:
    """By platform, of those that `after` has."""
    return {platform: difference(before.get(platform), lock) for platform, lock in sorted(after.items())}


def render_json(changes: Mapping[str, Difference], *, before: int | None, after: int) -> bytes:
    """`before` and `after` are generations; None when there was none before."""
    return canonical_json(
        {
            "version": 1,
            "generation": after,
            "previous_generation": before,
            "platforms": {
                platform: {
                    "added": [_pinned(one) for one in found.added],
                    "removed": [_pinned(one) for one in found.removed],
                    "changed": [{"before": _pinned(old), "after": _pinned(new)} for old, new in found.changed],
                }
                for platform, found in changes.items()
            },
        }
    )


def render_markdown(changes: Mapping[str, Difference], *, before: int | None, after: int) -> bytes:
    """A table for each platform."""
    lines = [f"# Package changes of generation {after}", ""]
    lines += [f"Against generation {before}." if before is not None else "There is no generation before it.", ""]
    for platform, found in changes.items():
        lines += [f"## {platform}", ""]
        if found.empty:
            lines += ["No package changes.", ""]
            continue
        rows = [(new.name, new.kind, _said(old), _said(new)) for old, new in found.changed]
        rows += [(one.name, one.kind, "", _said(one)) for one in found.added]
        rows += [(one.name, one.kind, _said(one), "") for one in found.removed]
        lines += ["| package | kind | before | after |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(_cell(text) for text in row)} |" for row in sorted(rows)]
        lines.append("")
    return "\n".join(lines).encode()


def _pinned(one: Pinned) -> dict[str, Any]:
    return {"name": one.name, "kind": one.kind, "version": one.version, "build": one.build or None}


def _said(one: Pinned) -> str:
    return f"{one.version} {one.build}".strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
