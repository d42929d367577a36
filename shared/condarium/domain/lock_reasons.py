"""Why a package is in a lock: the ways that lead to it from what was asked for."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Step:
    """A package on the way; `wants` is what it says of the next one, empty for the last."""

    name: str
    version: str
    wants: str = ""


def requested_name(spec: str) -> str:
    """The package that a match spec or a requirement asks for; empty for one without a name."""
    found = _NAME.match(spec.strip().rpartition("::")[2].strip())
    return found[0].lower() if found else ""


def chains(
    packages: Mapping[str, tuple[str, Mapping[str, str]]], requested: Iterable[str], wanted: str, *, most: int = 10
) -> list[tuple[Step, ...]]:
    """Ways from a requested package to `wanted`, the shortest from each, shortest first; at most `most`.

    `packages` is name -> (version, {name of a dependency: constraint}). Asked for itself: a way of one step.
    """
    needed_by: dict[str, list[tuple[str, str]]] = {}
    for name, (_, depends) in sorted(packages.items()):
        for other, constraint in depends.items():
            needed_by.setdefault(other, []).append((name, constraint))
    roots = set(requested)
    found: list[tuple[Step, ...]] = []
    seen = {wanted}
    # From the package upwards: each is met by a shortest way first.
    waiting: deque[tuple[str, tuple[Step, ...]]] = deque([(wanted, (Step(wanted, _version(packages, wanted)),))])
    while waiting and len(found) < most:
        name, way = waiting.popleft()
        if name in roots:
            found.append(way)
        for above, constraint in needed_by.get(name, ()):
            if above not in seen:
                seen.add(above)
                waiting.append((above, (Step(above, _version(packages, above), constraint), *way)))
    return found


def _version(packages: Mapping[str, tuple[str, Mapping[str, str]]], name: str) -> str:
    return packages[name][0] if name in packages else ""


def roots(packages: Mapping[str, tuple[str, Mapping[str, str]]], requested: Sequence[str]) -> list[str]:
    """What was asked for, of what is there; where nobody knows, what nothing else depends on."""
    named = [name for name in map(requested_name, requested) if name in packages]
    if named:
        return named
    needed = {other for _, depends in packages.values() for other in depends}
    return sorted(set(packages) - needed)
