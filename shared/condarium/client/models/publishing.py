"""Publish rules, and what they send."""

from condarium.client.models.shown import Moment, Shown


class PublishRule(Shown):
    """Where the images of a namespace are pushed to; `environments` are shell patterns."""

    name: str
    registry: str
    repository: str
    environments: tuple[str, ...]
    tags: tuple[str, ...]
    referrers: bool
    created_on: Moment
    created_by: str
    updated_on: Moment
    updated_by: str


class Publication(Shown):
    """`state` is REQUESTED, MAKING, READY or FAILED; `reason` why it failed or what is tried again; `waits_for` why
    nobody can push it yet; `counts` are of the last push that succeeded."""

    id: int
    rule: str
    environment: str
    build_id: int
    generation: int
    state: str
    reason: str | None
    waits_for: str | None
    attempt: int
    repository: str | None
    digest: str | None
    tags: tuple[str, ...]
    counts: dict[str, int]
    created_on: Moment
    ready_on: Moment | None
