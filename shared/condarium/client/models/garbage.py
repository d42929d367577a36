"""Sweeps, verifications, and what keeps things."""

from typing import Any

from condarium.client.models.shown import Moment, Shown


class SweepPart(Shown):
    """What one service does of a sweep: of storage, or of the store."""

    part: str
    state: str
    report: dict[str, Any]
    message: str | None
    ended_on: Moment | None


class Sweep(Shown):
    """A sweep (`gc`) or a verification (`verify`); `ended` when all parts are DONE or FAILED."""

    id: int
    verb: str
    options: dict[str, Any]
    created_on: Moment
    created_by: str
    ended: bool
    parts: list[SweepPart]


class Chain(Shown):
    """The way from a thing to a build that is kept, and why that is."""

    steps: list[str]
    kind: str
    detail: str


class Why(Shown):
    """What keeps something; without a chain it is garbage."""

    target: str
    what: str
    kept: bool
    chains: list[Chain]
    condemned_on: Moment | None
