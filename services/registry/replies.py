"""Errors in the registry's JSON, with our sentence in `message`: docker prints it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from condarium.errors import CondariumError, TooManyRequests, WorldFault
from condarium.http.faults import RETRY_AFTER_SECONDS, unexpected
from condarium.http.json_reply import JsonReply
from services.registry.faults import PaginationInvalid, StillMaking, Unauthorized

VERSION_HEADER = {"docker-distribution-api-version": "registry/2.0"}

_CODES = {
    400: "UNSUPPORTED",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    429: "TOOMANYREQUESTS",
    503: "UNAVAILABLE",
}


def render(status: int, code: str, message: str) -> Response:
    """`code` is one of the distribution specification's; clients lower-case it and print it before the message."""
    known = code if code.isupper() else _CODES.get(status, "UNKNOWN")
    body = {"errors": [{"code": known, "message": readable(message), "detail": None}]}
    return JsonReply(body, status, headers=VERSION_HEADER)


def readable(message: str) -> str:
    """A solver's tree keeps its lines; blank ones and trailing spaces go."""
    return "\n".join(line.rstrip() for line in message.strip().splitlines() if line.strip())


async def on_condarium_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CondariumError)
    if error.status == 500:
        return unexpected(error, render)
    reply = render(error.status, getattr(error, "oci", ""), str(error))
    if isinstance(error, Unauthorized):
        reply.headers["www-authenticate"] = error.challenge
    if error.status in (429, 503):
        asked = error.retry_after if isinstance(error, WorldFault | TooManyRequests | StillMaking) else None
        wait = asked or RETRY_AFTER_SECONDS
        reply.headers["retry-after"] = str(max(1, round(wait)))
    return reply


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Unknown routes and methods: this registry is for pulling."""
    assert isinstance(error, HTTPException)
    sentence = {404: "no such address in a registry", 405: "this registry is for pulling: images are made of builds"}
    reply = render(error.status_code, "", sentence.get(error.status_code, str(error.detail)))
    reply.headers.update(error.headers or {})
    return reply


def content_headers(sha256: str, reference: str | None = None) -> dict[str, str]:
    """Of what a digest names; `reference` is the digest that was asked for.

    It names these bytes for ever; whether the client may have them is asked each time, so not `public`.
    """
    return VERSION_HEADER | {
        "docker-content-digest": reference or f"sha256:{sha256}",
        "etag": f'"sha256:{sha256}"',
        "cache-control": "private, max-age=31536000, immutable",
    }


def is_known(request: Request, sha256: str) -> bool:
    """Whether the client says that it has these bytes."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    etags = [item.strip().removeprefix("W/") for item in header.split(",")]
    return "*" in etags or f'"sha256:{sha256}"' in etags


def asked_limit(text: str | None) -> int | None:
    """`n` of a list; None when nothing limits it. Raises PaginationInvalid."""
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise PaginationInvalid("n is the number of rows to list, 0 or more")
    return int(text)
