"""What changes between two locks of one platform, package by package."""

from collections.abc import Iterator
from dataclasses import dataclass

from condarium.domain.lock import Lock


@dataclass(frozen=True, order=True)
class Pinned:
    """A package as it is locked; `kind` is conda or pypi, `build` empty for wheels."""

    name: str
    kind: str
    version: str
    build: str


@dataclass(frozen=True)
class Difference:
    """Each sorted by name; a package that changes is in `changed` alone, as (before, after)."""

    added: tuple[Pinned, ...] = ()
    removed: tuple[Pinned, ...] = ()
    changed: tuple[tuple[Pinned, Pinned], ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def difference(before: Lock | None, after: Lock | None) -> Difference:
    """From `before` to `after`; None is a platform that is not there. A package that was rebuilt has changed."""
    old = {(item.kind, item.name): (item, digest) for item, digest in _pinned(before)}
    new = {(item.kind, item.name): (item, digest) for item, digest in _pinned(after)}
    return Difference(
        added=tuple(sorted(new[key][0] for key in new.keys() - old.keys())),
        removed=tuple(sorted(old[key][0] for key in old.keys() - new.keys())),
        changed=tuple(sorted((old[key][0], new[key][0]) for key in old.keys() & new.keys() if old[key] != new[key])),
    )


def _pinned(lock: Lock | None) -> Iterator[tuple[Pinned, str]]:
    if lock is None:
        return
    for record in lock.conda:
        yield Pinned(record.name, "conda", record.version, record.build), record.sha256
    for wheel in lock.pypi:
        yield Pinned(wheel.name, "pypi", wheel.version, ""), wheel.sha256
