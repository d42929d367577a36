"""Sweeps, verifications, and what keeps things."""

from typing import Any, Literal

from services.api.replies.envelopes import Moment, Shown


class SweepPart(Shown):
    """What one service does of it. `report` has for a sweep `freed`, `waiting`, `kept`, `in_use`; for a verification
    `checked`, `bad`, `bad_count`, `repaired`."""

    part: Literal["storage", "store"]
    state: Literal["REQUESTED", "RUNNING", "DONE", "FAILED"]
    report: dict[str, Any]
    message: str | None
    ended_on: Moment | None


class Sweep(Shown):
    """A sweep (`gc`) or a verification; it has ended when all of its parts are DONE or FAILED."""

    id: int
    verb: Literal["gc", "verify"]
    options: dict[str, Any]
    created_on: Moment
    created_by: str
    ended: bool
    parts: list[SweepPart]


class SweepId(Shown):
    """Where to look for the report: /api/v1/gc/{id}/."""

    id: int


class Chain(Shown):
    """`steps` lead from the thing to a build that is kept; `kind` is current, generation, pin, label, running, making,
    publishing, fresh, asked, on-demand, or stored for what stands by itself."""

    steps: list[str]
    kind: str
    detail: str


class Why(Shown):
    """Without a chain it is garbage."""

    target: str
    what: str
    kept: bool
    chains: list[Chain]
    condemned_on: Moment | None
