"""The comment at the top of every lockfile, and the order in which packages are written."""

import re
from collections.abc import Mapping, Sequence

from condarium.domain.lock import Lock, Record
from condarium.domain.lockfile.origin import COMMENT, origins_of, write_origins

_NAME = re.compile(r"[^\s<>=!~\[;,|]+")


def header(locks: Sequence[Lock], mirrored: Mapping[str, str] | None, use: str, *, origin: bool = False) -> str:
    """Comment lines: which locks this is made of, how to use it, and which channels a mirror stood in for.

    `mirrored`: canonical URL of a channel -> what its mirror is called. `origin` adds what the format does not hold,
    so that the file can be handed in again.
    """
    lines = [f"# {lock.platform}: lock {lock.hash}" for lock in locks]
    lines.append(f"# Use: {use}")
    channels = {channel for lock in locks for channel in lock.channels}
    for channel, name in sorted((mirrored or {}).items()):
        if channel.rstrip("/") in channels:
            shown = " ".join(name.split())
            lines.append(f"# Note: {channel} was mirrored by {shown} here; its files may not be at that address.")
    if origin:
        lines.append(f"{COMMENT}{write_origins(origins_of(locks))}")
    return "".join(f"{line}\n" for line in lines)


def by_platform(locks: Sequence[Lock]) -> list[Lock]:
    """The locks in the order of their platforms.

    Raises:
        ValueError: none, or two of one platform.
    """
    ordered = sorted(locks, key=lambda lock: lock.platform)
    platforms = [lock.platform for lock in ordered]
    if not platforms or len(set(platforms)) < len(platforms):
        raise ValueError(f"a lockfile is made of one lock per platform, not of {platforms}")
    return ordered


def channels_of(locks: Sequence[Lock]) -> list[str]:
    """All channels, those of the first platform first."""
    return list(dict.fromkeys(channel for lock in locks for channel in lock.channels))


def name_of(dependency: str) -> str:
    """The package that a `depends` line names."""
    match = _NAME.match(dependency.strip())
    return match[0].lower() if match else ""


def topologically(records: Sequence[Record]) -> list[Record]:
    """Every package behind those that it depends on, else by name; a circle is entered at its first name."""
    by_name = {record.name: record for record in sorted(records, key=lambda record: record.name)}
    order: dict[str, Record] = {}
    entered: set[str] = set()
    stack = list(reversed(by_name))
    while stack:
        name = stack[-1]
        if name in order:
            stack.pop()
        elif name in entered:
            order[stack.pop()] = by_name[name]
        else:
            entered.add(name)
            needed = {name_of(text) for text in by_name[name].depends}
            stack.extend(sorted((needed & by_name.keys()) - entered, reverse=True))
    return list(order.values())
