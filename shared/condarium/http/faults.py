"""Errors as replies: one handler for everything that Condarium raises, one for everything that nobody expected."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condarium import log
from condarium.errors import CondariumError, TooManyRequests, WorldFault
from condarium.http.json_reply import JsonReply

#: what a client is told to wait after a 429 or 503 that does not say it itself
RETRY_AFTER_SECONDS = 2

logger = log.get(__name__)

Render = Callable[[int, str, str], Response]


class Unprocessable(Exception):
    """A query, path or body that does not fit its model; `errors` are pydantic's, with FastAPI's locations."""

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__("the request does not fit its model")
        self.errors = list(errors)


def envelope(status: int, code: str, message: str) -> Response:
    """conda-store's form of an error; `code` is ours beside it."""
    return JsonReply({"status": "error", "message": message, "code": code}, status)


async def on_condarium_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CondariumError)
    if error.status == 500:
        return unexpected(error, envelope)
    reply = envelope(error.status, error.code, str(error))
    if error.status in (429, 503):
        asked = error.retry_after if isinstance(error, WorldFault | TooManyRequests) else None
        wait = asked or RETRY_AFTER_SECONDS
        reply.headers["retry-after"] = str(max(1, round(wait)))
    return reply


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Unknown routes and methods, in FastAPI's form."""
    assert isinstance(error, HTTPException)
    return JsonReply({"detail": error.detail}, error.status_code, headers=error.headers)


async def on_unprocessable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unprocessable)
    return JsonReply({"detail": error.errors}, 422)


def unexpected(error: BaseException, render: Render) -> Response:
    """Logs the error under a new id and answers with that id alone."""
    identity = uuid.uuid4().hex[:12]
    logger.error("unexpected error", error_id=identity, exc_info=error)
    message = f"something went wrong on the server; its log says what under the id {identity}"
    return render(500, "internal", message)


class Surprises:
    """ASGI middleware: whatever nobody expected is a 500 in the edge's own form, without a traceback."""

    def __init__(self, app: ASGIApp, render: Render = envelope) -> None:
        self.app = app
        self.render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def observed(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except Exception as error:
            reply = unexpected(error, self.render)
            if started:
                # The head is out: only breaking the connection tells the client that the body is not whole.
                raise
            await reply(scope, receive, send)
