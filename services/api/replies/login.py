"""Of a login."""

from typing import Literal

from services.api.replies.envelopes import Shown


class Destination(Shown):
    """Where to go now."""

    redirect_url: str


class LoggedIn(Shown):
    """The cookie of the reply is the login. There is no `message`, as in conda-store."""

    status: Literal["ok"]
    data: Destination
