"""Answers of the solver."""

from typing import Literal

from condarium.client.models.shown import Shown


class SolvedExtras(Shown):
    kind: Literal["conda", "pypi"]
    channel: str
    url: str


class SolvedPackage(Shown):
    """A package of the answer; `size` in bytes."""

    id: int
    package_id: int
    channel_id: int
    name: str
    version: str
    build: str
    build_number: int
    constrains: list[str]
    depends: list[str]
    md5: str
    sha256: str
    size: int
    subdir: str
    timestamp: int | None
    condarium: SolvedExtras


class PinnedPackage(Shown):
    """`build` is empty for wheels."""

    name: str
    kind: str
    version: str
    build: str


class ChangedPackage(Shown):
    """A package that is there before and after, and not the same."""

    name: str
    kind: str
    before: PinnedPackage
    after: PinnedPackage


class Changes(Shown):
    """What changes on one platform."""

    added: list[PinnedPackage]
    removed: list[PinnedPackage]
    changed: list[ChangedPackage]

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.added or self.removed or self.changed)


class CurrentBuild(Shown):
    """The build that the environment points to, and whether it is what was asked for already."""

    build_id: int
    specification: str
    locks: dict[str, str]
    same_specification: bool
    same_locks: bool


class SolveAnswer(Shown):
    """`locks` are hashes by platform; `current` and `changes` are null unless an environment was named."""

    specification: str
    locks: dict[str, str]
    solve: dict[str, list[SolvedPackage]]
    current: CurrentBuild | None
    changes: dict[str, Changes] | None
