"""What paths and queries mean before a route is looked for."""

from collections.abc import Collection
from re import Pattern

from starlette.types import ASGIApp, Receive, Scope, Send

_READING = ("GET", "HEAD")


class Addresses:
    """ASGI middleware: the same routes under a prefix, slashes as conda-store's clients write them.

    The canonical path ends with a slash. Reading without it is answered directly (other methods are redirected by
    the router), because conda-store's client appends the slash to the whole address, query and all: for the same
    reason one slash at the query's end is not part of its last value.
    """

    def __init__(self, app: ASGIApp, *, prefix: str, slashless: Collection[Pattern[str]]) -> None:
        self.app = app
        self.prefix = prefix.rstrip("/")
        self.slashless = slashless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._take_prefix(scope)
            self._forgive_slashes(scope)
        await self.app(scope, receive, send)

    def _take_prefix(self, scope: Scope) -> None:
        path = scope["path"]
        if not self.prefix or not (path == self.prefix or path.startswith(self.prefix + "/")):
            return
        scope["root_path"] = scope.get("root_path", "") + self.prefix
        if path == self.prefix:
            scope["path"] = path + "/"

    def _forgive_slashes(self, scope: Scope) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] not in _READING or not path.startswith("/api/"):
            return
        query = scope["query_string"]
        if query.endswith(b"/"):
            scope["query_string"] = query[:-1]
        if not path.endswith("/") and not any(pattern.match(path) for pattern in self.slashless):
            scope["path"] += "/"
