"""What can go wrong with a request, in sentences for people.

ApiError
├── ServerAway    nobody answers there, or the server cannot work now (502, 503, 504)
├── Refused       403: the token may not do this, or a quota is used up
├── NotThere      404: no such thing, or not for this token
├── Conflicting   409: the thing is in a state that does not allow it
├── Wrong         400, 413, 422: what was sent is wrong, and where
├── TooMany       429: more at a time than allowed
├── StillWaiting  what was waited for did not come in time
├── NotMade       an artifact could not be made; the reason is the message
└── Damaged       what was downloaded is not what was announced
"""

import json
from collections.abc import Sequence
from typing import Any

import httpx


class ApiError(Exception):
    """`status` is the HTTP status, 0 when there was no answer; `code` the server's stable word, empty when it gave
    none; `details` are the single faults of a 422, each with `loc` and `msg`.
    """

    def __init__(
        self, message: str, status: int = 0, *, code: str = "", details: Sequence[dict[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.details = tuple(details)


class ServerAway(ApiError):
    pass


class Refused(ApiError):
    pass


class NotThere(ApiError):
    pass


class Conflicting(ApiError):
    pass


class Wrong(ApiError):
    pass


class TooMany(ApiError):
    pass


class StillWaiting(ApiError):
    pass


class NotMade(ApiError):
    pass


class Damaged(ApiError):
    pass


_KINDS: dict[int, type[ApiError]] = {
    400: Wrong,
    403: Refused,
    404: NotThere,
    409: Conflicting,
    413: Wrong,
    422: Wrong,
    429: TooMany,
}


def away(url: str, error: Exception) -> ServerAway:
    """For an error of the connection itself."""
    return ServerAway(
        f"no answer from {url} ({error or type(error).__name__}); is Condarium running there? "
        "CONDARIUM_API_URL names the address, `make up` starts the one-machine run"
    )


def strange(reply: httpx.Response, error: Exception | None = None) -> ApiError:
    """For an answer that is not of this contract: another server, a proxy's page."""
    why = f" ({str(error).splitlines()[0]})" if error is not None and str(error) else ""
    return ApiError(
        f"{_where(reply)} answered {reply.status_code} with something that is not Condarium's{why}; "
        "does CONDARIUM_API_URL name the gateway?",
        reply.status_code,
    )


def fault(reply: httpx.Response) -> ApiError:
    """The error that a reply of 400 and more stands for; its body must have been read."""
    body = _body(reply)
    kind = _KINDS.get(reply.status_code, ServerAway if reply.status_code >= 500 else ApiError)
    found = body.get("detail")
    details = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    sentence = _sentence(reply, body, details)
    if kind is Refused and body.get("code") == "not-authorized":
        sentence = f"{sentence}; {_help(reply.request)}"
    return kind(sentence, reply.status_code, code=str(body.get("code") or ""), details=details)


def _help(request: httpx.Request) -> str:
    if request.url.path.endswith("/login/"):
        return "the password is a token (of the development login: the administrator's)"
    if "authorization" not in request.headers:
        return "no token was shown: CONDARIUM_TOKEN holds the one to use, and `condarium login` keeps one"
    # The server takes a token it does not know for anonymous, and one keeps the roles it was made with.
    return "`condarium whoami` shows what the token may do; it lacks roles that were given after it was made"


def _body(reply: httpx.Response) -> dict[str, Any]:
    try:
        body: Any = reply.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _sentence(reply: httpx.Response, body: dict[str, Any], details: Sequence[dict[str, Any]]) -> str:
    if body.get("message"):
        return str(body["message"])
    if details:
        return "; ".join(_detail(item) for item in details)
    if body.get("detail"):
        return f"{_where(reply)} answered {reply.status_code}: {body['detail']}"
    return f"{_where(reply)} answered {reply.status_code}"


def _detail(item: dict[str, Any]) -> str:
    """`labels.git: Input should be a valid string`: where it is said without the words of the transport."""
    place = [str(part) for part in item.get("loc", ()) if part not in ("body", "query", "path")]
    said = str(item.get("msg", "is not valid"))
    return f"{'.'.join(place)}: {said}" if place else said


def _where(reply: httpx.Response) -> str:
    # Without its query: a signed address is not for logs.
    return str(reply.request.url.copy_with(query=None))
