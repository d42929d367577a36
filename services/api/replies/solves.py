"""Answers of the solver, as they are shown."""

from typing import Annotated, Literal

from pydantic import Field

from services.api.replies.envelopes import Sha256, Shown


class SolvedExtras(Shown):
    """What Condarium says of a solved package beyond conda-store's fields."""

    kind: Literal["conda", "pypi"]
    channel: str
    url: str


class SolvedPackage(Shown):
    """A package of the answer; conda-store's row of a package build, with its name and version."""

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
    sha256: Sha256
    size: int
    subdir: str
    timestamp: Annotated[int | None, Field(description="milliseconds since 1970")]
    condarium: SolvedExtras


class Solved(Shown):
    """The packages of one platform."""

    solve: list[SolvedPackage]


class PinnedPackage(Shown):
    name: str
    kind: Literal["conda", "pypi"]
    version: str
    build: str


class ChangedPackage(Shown):
    """A package that is there before and after, and not the same."""

    name: str
    kind: Literal["conda", "pypi"]
    before: PinnedPackage
    after: PinnedPackage


class Changes(Shown):
    """What a build of the answer would change, on one platform."""

    added: list[PinnedPackage]
    removed: list[PinnedPackage]
    changed: list[ChangedPackage]


class CurrentBuild(Shown):
    """The build that the environment points to, and whether it is what was asked for already."""

    build_id: int
    specification: Sha256
    locks: dict[str, Sha256]
    same_specification: bool
    same_locks: bool


class SolveAnswer(Shown):
    """`current` and `changes` are null unless an environment was named; `current` also where it has no build yet."""

    specification: Sha256
    locks: Annotated[dict[str, Sha256], Field(description="the hash of the lock of each platform")]
    solve: dict[str, list[SolvedPackage]]
    current: CurrentBuild | None
    changes: dict[str, Changes] | None
