"""What a route promises: the replies it gives, by code, and the models of their bodies.

Promises describe and do not check: nothing of this runs while a request is answered. `/openapi.json` is made of them,
and tests hold every reply against them.
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route

from services.api.replies.envelopes import Acknowledged, Detail, Enveloped, Invalid, PageOf, Problem, StreamedEvent

#: of these alone a JSON body is promised
JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """One kind of answer. `model` is any type that pydantic knows, of a JSON body; other bodies have a `media_type`
    (`*/*` for bytes of any kind, empty for no body). `headers` maps a name to what it says."""

    status: int = 200
    description: str = ""
    media_type: str = JSON
    model: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    example: Any = None

    @property
    def said(self) -> str:
        return self.description or HTTPStatus(self.status).phrase


def data(model: Any, description: str = "", *, example: Any = None) -> Reply:
    """`{"status": "ok", "data": model, "message": ...}`; `example` is of the data alone."""
    shown = None if example is None else {"status": "ok", "data": example, "message": None}
    return Reply(model=Enveloped[model], description=description, example=shown)


def page(model: type[BaseModel], description: str = "", *, example: Any = None) -> Reply:
    """A page of rows in the envelope; `example` is one row."""
    shown = None
    if example is not None:
        shown = {"status": "ok", "data": [example], "message": None, "page": 1, "size": 100, "count": 1}
    return Reply(model=PageOf[model], description=description, example=shown)  # type: ignore[valid-type]


def bare(model: Any, description: str = "", *, status: int = 200, example: Any = None) -> Reply:
    """JSON without an envelope."""
    return Reply(status, description, model=model, example=example)


def text(media_type: str = "text/plain", description: str = "", *, status: int = 200, example: Any = None) -> Reply:
    return Reply(status, description, media_type=media_type, example=example)


def redirect(description: str, *, status: int = 307) -> Reply:
    return Reply(status, description, media_type="", headers={"Location": "where to go"})


#: `{"status": "ok", "message": ...}`
ACK = Reply(model=Acknowledged, description="Done", example={"status": "ok", "message": None})
EVENT_STREAM = Reply(
    media_type="text/event-stream",
    model=StreamedEvent,
    description="Server-sent events until the client goes. `id` is what to send as `Last-Event-ID` to go on from there",
    example='id: 12\nevent: build.completed.v1\ndata: {"specversion": "1.0"}\n\n',
)

#: what each error code means wherever it appears; a route's own words stand in its description
ERRORS = {
    400: "What was asked for is wrong; the message says what and where",
    401: "The credentials do not stand",
    403: "The caller may not do this",
    404: "There is no such thing",
    405: "The address does not know the method",
    409: "It stands in a way that does not allow this; the message says how",
    413: "The body is larger than is allowed",
    422: "A query, path or body that does not fit its model",
    429: "Too many requests; `Retry-After` says when to come back",
    502: "Another server that is asked for this answered wrongly",
    503: "A part of the system is away; `Retry-After` says when to come back",
}
_WAITS = {429, 503}


def error(status: int) -> Reply:
    """An error in the form of the contract. Raises KeyError for a code without words here."""
    model: Any = {404: Problem | Detail, 422: Invalid}.get(status, Problem)
    headers = {"Retry-After": "seconds"} if status in _WAITS else {}
    return Reply(status, ERRORS[status], model=model, headers=headers, example=_example(status))


def _example(status: int) -> Any:
    if status == 422:
        fault = {"type": "int_parsing", "loc": ["query", "page"], "msg": "Input should be a valid integer"}
        return {"detail": [{**fault, "input": "x"}]}
    message, code = {
        403: ("request not authorized", "not-authorized"),
        404: ("build id does not exist", "not-found"),
        409: ("build 1 is FAILED: no package is called nmpy", "conflict"),
        503: ("the database does not answer", "unavailable"),
    }.get(status, (ERRORS[status], HTTPStatus(status).phrase.lower().replace(" ", "-")))
    return {"status": "error", "message": message, "code": code}


@dataclass(frozen=True)
class Declaration:
    """All that is said of one method of one path. `query` and `body` are models, or None."""

    summary: str
    replies: tuple[Reply, ...]
    description: str = ""
    tag: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    #: of the body; a form has its own
    body_media_types: tuple[str, ...] = (JSON,)
    #: headers that the request may have: what they say
    takes: Mapping[str, str] = field(default_factory=dict)
    deprecated: bool = False
    #: for people: held to what it promises, but no part of the contract that /openapi.json describes
    is_page: bool = False

    def reply(self, status: int) -> tuple[Reply, ...]:
        """The promised answers with that code; there are several where the media type differs."""
        return tuple(each for each in self.replies if each.status == status)


class DeclaredRoute(Route):
    """A route that says what it answers."""

    declaration: Declaration


def declared(
    route: Route,
    *returns: Any,
    errors: Iterable[int] = (),
    tag: str = "",
    summary: str = "",
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    body_media_types: tuple[str, ...] = (JSON,),
    takes: Mapping[str, str] | None = None,
    deprecated: bool = False,
    says: Any = None,
) -> Route:
    """The same route with its promises. `returns` are Replies, or a model which then is the data of the envelope.

    Summary and description come out of the docstring of `says` (default: the endpoint). Codes that follow from
    the shape are added: 404 and 422 with parts in the path, 422 with a query, 400, 413 and 422 with a body, and 503.
    """
    if not returns:
        return route
    codes = {*errors, 503}
    if route.param_convertors:
        codes |= {404, 422}
    if query is not None and query.model_fields:
        codes.add(422)
    if body is not None:
        codes |= {400, 413, 422}
    first, rest = _words(says or route.endpoint)
    known = tuple(each if isinstance(each, Reply) else data(each) for each in returns)
    codes -= {each.status for each in known if each.media_type == JSON}
    made = DeclaredRoute(route.path, route.endpoint, methods=list(route.methods or ()), name=route.name)
    made.declaration = Declaration(
        summary=summary or first or route.name.replace("_", " ").capitalize(),
        description=rest,
        replies=known + tuple(error(code) for code in sorted(codes)),
        tag=tag or _tag(route.path),
        query=query,
        body=body,
        body_media_types=body_media_types,
        takes=takes or {},
        deprecated=deprecated,
    )
    return made


def _words(function: Any) -> tuple[str, str]:
    """The first line of the docstring, and the rest of it without what is said to callers in Python."""
    first, _, rest = (inspect.getdoc(function) or "").partition("\n")
    return first.strip().removesuffix("."), rest.partition("Raises ")[0].strip()


def _tag(path: str) -> str:
    """`build` of `/api/v1/build/...`."""
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    if parts[:1] == ["api"]:
        return parts[2] if len(parts) > 2 else "status"
    return parts[0] if parts else "pages"
