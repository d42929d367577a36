# Made of `asynchronous` by `make client`: edit that.
"""The installation, and who one is there."""

import httpx

from condarium.client import faults
from condarium.client.models.access import Permission, Readiness, Version
from condarium.client.synchronous.connection import Connection


class Status(Connection):
    """Version, permission, readiness, login."""

    def version(self) -> Version:
        """Of the contract and of the server."""
        return self._ask(Version, "GET", self._at())

    def permission(self) -> Permission:
        """Who the server takes one for, and what one may do where. A wrong token is anonymous."""
        return self._ask(Permission, "GET", self._at("permission"))

    def readiness(self) -> Readiness:
        """Whether the gateway can work, and which of its parts are away."""
        return self._ask(Readiness, "GET", "readyz", key="", accept=(503,), repeatable=False)

    def log_in(self, username: str, password: str) -> None:
        """Logs this client in by a cookie. `password` is a token; with the development login it is the
        administrator's, and `username` says as whom.

        Raises Refused when they are not worth a login, TooMany after several wrong ones.
        """
        content = {"username": username, "password": password}
        # The form is about this login, not about a token that was given before.
        self._http.headers.pop("Authorization", None)
        self._send("POST", "login/", json=content)

    def log_out(self) -> None:
        """Ends the login of `log_in`."""
        try:
            self._http.post("logout/", follow_redirects=False)
        except httpx.HTTPError as error:
            raise faults.away(self.url, error) from error
        self._http.cookies.clear()
