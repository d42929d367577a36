"""The shapes of publish rules and of what they send."""

from typing import Annotated, Literal

from pydantic import Field

from condarium.domain.publishing import Tag
from services.api.replies.envelopes import Moment, Shown


class PublishRule(Shown):
    """Where the images of a namespace are pushed to. `environments` are shell patterns."""

    name: str
    registry: str
    repository: str
    environments: list[str]
    tags: list[Tag]
    referrers: bool
    created_on: Moment
    created_by: str
    updated_on: Moment
    updated_by: str


class Publication(Shown):
    """The image of a build on its way to another registry.

    `reason` says why it failed, or what is tried again and when; `waits_for` why nobody can push it yet. `counts` are
    blobs and bytes of the last push that succeeded.
    """

    id: int
    rule: str
    environment: str
    build_id: int
    generation: int
    state: Literal["REQUESTED", "MAKING", "READY", "FAILED"]
    reason: str | None
    waits_for: str | None
    attempt: Annotated[int, Field(ge=0)]
    repository: str | None
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None
    tags: list[str]
    counts: dict[str, int]
    created_on: Moment
    ready_on: Moment | None
