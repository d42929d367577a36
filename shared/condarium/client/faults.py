"""What can go wrong with a request, in sentences for people.

ApiError
├── ServerAway   nobody answers there, or the server cannot work now
├── Refused      403: the token may not do this
└── NotThere     404: no such thing, or not for this token
"""

import json
from typing import Any

import httpx


class ApiError(Exception):
    """`status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ServerAway(ApiError):
    pass


class Refused(ApiError):
    pass


class NotThere(ApiError):
    pass


def away(url: str, error: Exception) -> ServerAway:
    """For an error of the connection itself."""
    return ServerAway(
        f"no answer from {url} ({error or type(error).__name__}); is Condarium running there? "
        "CONDARIUM_API_URL names the address, `make up` starts the one-machine run"
    )


def fault(reply: httpx.Response) -> ApiError:
    """The error that a reply of 400 and more stands for; its body must have been read."""
    sentence = _sentence(reply)
    if reply.status_code == 403:
        return Refused(f"{sentence}; CONDARIUM_TOKEN holds the token to use", 403)
    if reply.status_code == 404:
        return NotThere(sentence, 404)
    if reply.status_code >= 500:
        return ServerAway(sentence, reply.status_code)
    return ApiError(sentence, reply.status_code)


def _sentence(reply: httpx.Response) -> str:
    try:
        body: Any = reply.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return f"{reply.request.url} answered {reply.status_code}"
    if isinstance(body, dict) and body.get("message"):
        return str(body["message"])
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in detail)
    return f"{reply.request.url} answered {reply.status_code}: {detail or body}"
