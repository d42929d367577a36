"""Requests on their way in: bodies with a bound, and one log line and two metrics for each."""

import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condarium import log, metrics
from condarium.errors import InvalidInput, TooLarge

logger = log.get("condarium.http.access")

#: what is a label of its own: strangers may send any word
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: asked by machines every few seconds: logged as debug
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge, InvalidInput for a Content-Length that is no number."""
    announced = request.headers.get("content-length")
    if announced is not None:
        if not announced.isdecimal() or len(announced) > 18:
            raise InvalidInput("the Content-Length header is not a number")
        if int(announced) > limit:
            raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request's body is larger than the {limit} bytes that are allowed")


class AccessLog:
    """ASGI middleware. Queries are left out of the log: download addresses carry signatures."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        path, status = scope["path"], 0
        head_seconds = 0.0

        async def observed(message: Message) -> None:
            nonlocal status, head_seconds
            if message["type"] == "http.response.start":
                status = message["status"]
                head_seconds = time.perf_counter() - started
            await send(message)

        try:
            await self.app(scope, receive, observed)
        finally:
            route = _route(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"
            metrics.HTTP_REQUESTS.labels(route, method, str(status)).inc()
            metrics.HTTP_SECONDS.labels(route).observe(head_seconds)
            say = logger.debug if path in QUIET else logger.info
            say(
                "request",
                method=scope["method"],
                path=path,
                status=status,
                seconds=round(time.perf_counter() - started, 4),
                client=(scope.get("client") or ("",))[0],
                principal=scope.get("state", {}).get("principal"),
            )


def _route(scope: Scope) -> str:
    """The route's pattern: a label must not grow with what strangers ask for."""
    found = scope.get("route")
    return getattr(found, "path", None) or "unknown"
