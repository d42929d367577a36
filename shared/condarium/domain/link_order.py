"""The order in which an installer links a lock's packages; of a path that two of them have, the last one's stays."""

import re
from collections.abc import Sequence

from condarium.domain.lock import Lock, Record, Wheel

Member = Record | Wheel

_NAME_END = re.compile(r"[ =<>!~\[]")


def link_order(lock: Lock) -> tuple[Member, ...]:
    """Conda packages with dependencies first, as rattler sorts them, then wheels by name, which uv installs after
    them.
    """
    return tuple(_places(lock).values())


def in_link_order(lock: Lock, members: Sequence[Member]) -> list[Member]:
    """`members`, which are some of the lock's, in its link order."""
    index = {key: number for number, key in enumerate(_places(lock))}
    return sorted(members, key=lambda member: index[_key(member)])


def _places(lock: Lock) -> dict[tuple[bool, str], Member]:
    """The members by their keys, in order; kept with the lock, because every layer of an image asks for it."""
    kept: dict[tuple[bool, str], Member] | None = lock.__dict__.get("_link_order")
    if kept is None:
        kept = lock.__dict__["_link_order"] = {_key(member): member for member in _in_order(lock)}
    return kept


def _in_order(lock: Lock) -> tuple[Member, ...]:
    by_name = {record.name: record for record in lock.conda}
    needed = {_package_name(spec) for record in lock.conda for spec in record.depends}
    roots = sorted(by_name.keys() - needed)
    # Packages that depend on each other in a circle have no root; rattler would leave them out, here they come last.
    names = _depth_first(by_name, [*sorted(by_name.keys() - set(roots), reverse=True), *roots])
    return (*(by_name[name] for name in names), *sorted(lock.pypi, key=lambda wheel: wheel.name))


def _key(member: Member) -> tuple[bool, str]:
    return isinstance(member, Wheel), member.name


def _package_name(spec: str) -> str:
    return _NAME_END.split(spec.split("::")[-1], maxsplit=1)[0].lower()


def _depth_first(by_name: dict[str, Record], start: list[str]) -> list[str]:
    """Post-order without recursion; the last of `start`, and of each package's dependencies, is visited first."""
    order: list[str] = []
    seen: set[str] = set()
    stack = [(name, False) for name in start]
    while stack:
        name, is_done = stack.pop()
        if is_done:
            order.append(name)
        elif name in by_name and name not in seen:
            seen.add(name)
            stack.append((name, True))
            stack.extend((needed, False) for needed in sorted(map(_package_name, by_name[name].depends)))
    return order
