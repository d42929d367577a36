"""Of people."""

from services.api.replies.envelopes import Moment, Shown


class UserRow(Shown):
    """`provider` vouches for them; `role_bindings` are what the claims of the last login gave."""

    id: int
    name: str
    provider: str
    primary_namespace: str
    role_bindings: dict[str, list[str]]
    created_on: Moment
    last_login_on: Moment | None
    disabled_on: Moment | None
