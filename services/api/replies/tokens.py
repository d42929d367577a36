"""Of tokens: one that was just made, and what is known of those that were handed out."""

from typing import Literal

from services.api.replies.envelopes import Moment, Shown


class TokenRow(Shown):
    """`owner` is whose rights it carries; `state` is what it is worth."""

    id: int
    name: str
    kind: Literal["token", "session"]
    owner: str
    primary_namespace: str
    role_bindings: dict[str, list[str]]
    state: Literal["good", "expired", "revoked"]
    created_on: Moment
    expires_on: Moment
    last_used_on: Moment | None
    revoked_on: Moment | None
    revoked_by: str | None
    current: bool


class OwnPart(Shown):
    """What conda-store does not say of a new token."""

    id: int
    name: str
    expires_on: Moment


class NewToken(Shown):
    """The text is shown this once: it is not kept."""

    token: str
    condarium: OwnPart
