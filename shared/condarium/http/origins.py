"""Which pages may use the cookie of a login: our own, and those of origins that a setting names.

conda-store answers every origin, and its clients in notebooks rely on that: they show a token. A browser that sends
the cookie along is another matter: here it counts only where the page that asks is ours. SameSite=strict does most of
that by itself; it lets pages of the same site through (another port of the host, a sibling domain), this does not.

A request that names no origin at all comes from no page: browsers send `Origin` with every write, and
`Sec-Fetch-Site` with everything. It is a program, such as conda-store's client, which logs in and goes on with the
cookie. What else could send it without either header is a very old browser, and there SameSite holds.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from condarium.errors import ConfigError
from condarium.http.faults import envelope

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS = {"http": 80, "https": 443}


def origin(text: str) -> str:
    """scheme://host[:port] as browsers write it; empty for what is none."""
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")


def allowed_origins(names: Iterable[str]) -> frozenset[str]:
    """Those of the setting. Raises ConfigError."""
    found = set()
    for name in names:
        if not origin(name) or urlsplit(name).path.strip("/"):
            raise ConfigError(f"CONDARIUM_ALLOWED_ORIGINS: {name!r} is no origin, such as https://jupyter.example.org")
        found.add(origin(name))
    return frozenset(found)


class Origins:
    """ASGI middleware: takes the cookie `cookie` away from requests of foreign pages.

    What they write with it, and any write to the addresses in `guarded` (logging a browser in or out is an attack of
    its own), is refused with a sentence.
    """

    def __init__(
        self, app: ASGIApp, *, cookie: str, own: str, allowed: Iterable[str] = (), guarded: Iterable[str] = ()
    ) -> None:
        self.app = app
        self.cookie = cookie
        self.allowed = frozenset({*allowed, origin(own)})
        self.guarded = frozenset(guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        shown = self._shows_cookie(headers)
        guarded = scope["path"].removeprefix(scope.get("root_path", "")) in self.guarded
        if not (shown or guarded) or not self._foreign(scope, headers):
            await self.app(scope, receive, send)
        elif scope["method"] in SAFE:
            await self.app(self._without_cookie(scope), receive, send)
        else:
            await self._refusal(headers)(scope, receive, send)

    def _shows_cookie(self, headers: Headers) -> bool:
        return any(self._is_ours(part) for line in headers.getlist("cookie") for part in line.split(";"))

    def _is_ours(self, part: str) -> bool:
        return part.partition("=")[0].strip() == self.cookie

    def _foreign(self, scope: Scope, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site", "")
        if site in ("same-origin", "none"):
            return False
        named = headers.get("origin")
        if named is None and scope["method"] not in SAFE:
            # Old browsers; with others a page can hide it only by sending the two headers looked at before.
            named = headers.get("referer")
        if named is not None:
            found = origin(named)
            return found not in self.allowed and found != self._own(scope, headers)
        if not site:
            return False
        # Following a link to a page of ours is no request of the page that it stands on: nobody but us sees the reply.
        return scope["method"] not in SAFE or headers.get("sec-fetch-mode") != "navigate"

    def _own(self, scope: Scope, headers: Headers) -> str:
        return origin(f"{scope.get('scheme', 'http')}://{headers.get('host', '')}") or "nowhere"

    def _without_cookie(self, scope: Scope) -> Scope:
        kept = []
        for name, value in scope["headers"]:
            if name == b"cookie":
                parts = [part for part in value.decode("latin-1").split(";") if not self._is_ours(part)]
                value = ";".join(parts).strip().encode("latin-1")
            kept.append((name, value))
        return {**scope, "headers": [(name, value) for name, value in kept if name != b"cookie" or value]}

    def _refusal(self, headers: Headers) -> ASGIApp:
        page = origin(headers.get("origin") or headers.get("referer") or "") or "another site"
        message = (
            f"a page of {page} may not use this login: it is not the gateway's own address (CONDARIUM_EXTERNAL_URL), "
            "nor named in CONDARIUM_ALLOWED_ORIGINS; a token works from anywhere"
        )
        return envelope(403, "foreign-origin", message)
