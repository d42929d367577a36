"""Makes a Starlette route of a plain function.

A *quick* function gets a session and the call, runs in a thread, in one transaction, and answers with data. A *slow*
one is a coroutine that gets the call alone, runs in the loop, may wait for long, and asks the database with
`call.within`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

import anyio
from anyio import to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium import config
from condarium.database import Database, roles, solves
from condarium.database.listing import Page
from condarium.database.reads import Reads
from condarium.domain.token import TokenKey
from condarium.http.answers import Answers
from condarium.http.authenticator import Authenticator
from condarium.http.caller import Caller
from condarium.http.faults import Unprocessable
from condarium.http.feed import Feed
from condarium.http.held_tokens import HeldTokens
from condarium.http.json_reply import JsonReply
from condarium.http.operating import Check
from condarium.http.requests import read_body
from condarium.http.tallies import Tallies
from condarium.storage import Storage
from services.api.auditing import noting_refusals, record_write
from services.api.bodies import Model
from services.api.config import LoginSettings, Settings, defaults
from services.api.declaration import JSON, declared

Q = TypeVar("Q", bound=Model)
B = TypeVar("B", bound=Model)
T = TypeVar("T")

#: of a value that is echoed in a validation error
LONGEST_ECHO = 200
#: conda-store's headers of what it will give up
DEPRECATED = {"deprecation": "True", "sunset": "Mon, 17 Mar 2025 00:00:00 UTC"}


@dataclass(frozen=True)
class Gateway:
    """What the process is made of, wired in `__main__`."""

    settings: Settings
    database: Database
    storage: Storage
    feed: Feed
    checks: Mapping[str, Check] = field(default_factory=dict)
    login: LoginSettings = field(default_factory=lambda: config.load(LoginSettings, {}))

    #: the settings of the deployment by their keys (`Deployment.values`)
    deployment: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Requests wait here rather than in threads: there are never more of these than connections.
        object.__setattr__(self, "limiter", anyio.CapacityLimiter(self.settings.database_pool_size))
        standing = defaults(self.settings)
        held = HeldTokens(TokenKey(self.settings.secret), standing, self.database)
        authenticator = Authenticator(standing, self.database, limiter=self.limiter, recognisers=[held.recognise])
        object.__setattr__(self, "held_tokens", held)
        object.__setattr__(self, "authenticator", authenticator)
        self.feed.when(roles.CHANNEL, authenticator.forget)
        object.__setattr__(self, "answers", Answers())
        self.feed.when(solves.ANSWERED_CHANNEL, self.answers.wake)
        object.__setattr__(self, "tallies", Tallies(self.database))
        reads = Reads(self.database.url, size=self.settings.database_pool_size, application="condarium-api")
        object.__setattr__(self, "reads", reads)

    limiter: anyio.CapacityLimiter = field(init=False)
    tallies: Tallies = field(init=False)
    #: what lists are read with, beside the pool of `database`
    reads: Reads = field(init=False)
    held_tokens: HeldTokens = field(init=False)
    authenticator: Authenticator = field(init=False)
    answers: Answers = field(init=False)


@dataclass(frozen=True)
class Call(Generic[Q, B]):
    """One request, checked: `query` and `body` are what the route declared."""

    gateway: Gateway
    caller: Caller
    request: Request
    query: Q
    body: B
    #: what the audit log is to say of this write besides who, what and where
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str | None:
        """The client's, as far as it is known."""
        return self.request.client.host if self.request.client else None

    def text(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A part of the path that is a number. Raises Unprocessable."""
        return _validated(_NUMBER, self.text(name), ("path", name))

    def link(self, path: str) -> str:
        """A path of ours as this client reaches it, prefix included."""
        return f"{self.request.scope.get('root_path', '')}{path}"

    async def caller_now(self) -> Caller:
        """Who asks, as things stand by now: for replies that go on for long."""
        return await self.gateway.authenticator.caller(self.request)

    async def within(self, ask: Callable[[Session], T]) -> T:
        """`ask` in a transaction, in a thread."""

        def run() -> T:
            with self.gateway.database.transaction() as session:
                return ask(session)

        return await self.aside(run)

    async def aside(self, ask: Callable[[], T]) -> T:
        """What blocks, in a thread."""
        return await to_thread.run_sync(ask, limiter=self.gateway.limiter)


_NUMBER = TypeAdapter(int)

Quick = Callable[[Session, Call[Any, Any]], Any]
Slow = Callable[[Call[Any, Any]], Awaitable[Response]]


@dataclass(frozen=True)
class Ack:
    """Done; there is nothing to show."""

    message: str | None = None


@dataclass(frozen=True)
class Done:
    """Data with a message."""

    data: Any
    message: str | None = None


def quick(
    gateway: Gateway,
    path: str,
    function: Quick,
    *,
    method: str = "GET",
    query: type[Model] = Model,
    body: type[Model] | None = None,
    deprecated: bool = False,
    returns: Any = (),
    errors: tuple[int, ...] = (),
    tag: str = "",
    summary: str = "",
) -> Route:
    """A route whose function runs in one transaction.

    `returns` is what it promises: a model (the data of the envelope), a `declaration.Reply`, or a tuple of these;
    `errors` are the codes that it answers besides those that follow from its shape. See `declaration.declared`.
    """

    async def endpoint(request: Request) -> Response:
        call = await _call(gateway, request, query, body)

        def run(session: Session) -> Any:
            answer = function(session, call)
            if method != "GET":
                record_write(session, call, function.__name__, answer)
            return answer

        with noting_refusals(call, function.__name__):
            reply = enveloped(await call.within(run))
        if deprecated:
            reply.headers.update(DEPRECATED)
        return reply

    return declared(
        Route(path, endpoint, methods=[method], name=function.__name__),
        *(returns if isinstance(returns, tuple) else (returns,)),
        errors=errors,
        tag=tag,
        summary=summary,
        query=query,
        body=body,
        deprecated=deprecated,
        says=function,
    )


def slow(
    gateway: Gateway,
    path: str,
    function: Slow,
    *,
    method: str = "GET",
    query: type[Model] = Model,
    body: type[Model] | None = None,
    reads: type[Model] | None = None,
    reads_as: tuple[str, ...] = (JSON,),
    deprecated: bool = False,
    returns: Any = (),
    errors: tuple[int, ...] = (),
    takes: Mapping[str, str] | None = None,
    tag: str = "",
    summary: str = "",
) -> Route:
    """A route that may wait or stream; it promises as a quick one does. `reads` is a body that it reads by itself."""

    async def endpoint(request: Request) -> Response:
        call = await _call(gateway, request, query, body)
        with noting_refusals(call, getattr(function, "__name__", "slow")):
            reply = await function(call)
        if deprecated:
            reply.headers.update(DEPRECATED)
        return reply

    return declared(
        Route(path, endpoint, methods=[method], name=getattr(function, "__name__", "slow")),
        *(returns if isinstance(returns, tuple) else (returns,)),
        errors=errors,
        takes=takes,
        tag=tag,
        summary=summary,
        query=query,
        body=body or reads,
        body_media_types=reads_as,
        deprecated=deprecated,
        says=function,
    )


async def _call(gateway: Gateway, request: Request, query: type[Model], body: type[Model] | None) -> Call[Any, Any]:
    caller = await gateway.authenticator.caller(request)
    request.state.principal = caller.name
    # Postgres text holds no NUL; nothing that has one in its name can exist.
    for name, value in request.path_params.items():
        if isinstance(value, str) and "\0" in value:
            raise Unprocessable([_fault("string_nul", ("path", name), "String should not hold U+0000", value)])
    asked = _validated(_adapter(query), _query_values(query, request.query_params), ("query",))
    content = await _body(gateway, request, body) if body is not None else None
    return Call(gateway, caller, request, asked, content)


def _query_values(model: type[BaseModel], params: QueryParams) -> dict[str, Any]:
    """The last value of each name, or all of them where the model has a tuple."""
    values: dict[str, Any] = {}
    for name, item in model.model_fields.items():
        if name in params:
            many = getattr(item.annotation, "__origin__", None) is tuple
            values[name] = params.getlist(name) if many else params.getlist(name)[-1]
    return values


async def _body(gateway: Gateway, request: Request, model: type[Model]) -> Model:
    raw = await read_body(request, gateway.settings.api_max_body_bytes)
    if not raw and getattr(model, "may_be_empty", False):
        raw = b"{}"
    if not raw:
        raise Unprocessable([_fault("missing", ("body",), "Field required", None)])
    try:
        content = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        fault = _fault("json_invalid", ("body",), "JSON decode error", {})
        raise Unprocessable([{**fault, "ctx": {"error": str(error)}}]) from None
    checked: Model = _validated(_adapter(model), content, ("body",), from_attributes=True, hide=model.secretive)
    return checked


@cache
def _adapter(model: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(model)


def _validated(
    adapter: TypeAdapter[T], value: Any, where: tuple[str, ...], *, from_attributes: bool = False, hide: bool = False
) -> T:
    try:
        return adapter.validate_python(value, from_attributes=from_attributes)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise Unprocessable(
            [
                _fault(each["type"], (*where, *each["loc"]), each["msg"], None if hide else each["input"])
                for each in faults
            ]
        ) from None


def _fault(kind: str, where: tuple[Any, ...], message: str, found: Any) -> dict[str, Any]:
    shown = f"{found[:LONGEST_ECHO]}..." if isinstance(found, str) and len(found) > LONGEST_ECHO else found
    return {"type": kind, "loc": list(where), "msg": message, "input": shown}


def enveloped(answer: Any) -> Response:
    """conda-store's envelopes; a Response passes as it is."""
    match answer:
        case Response():
            return answer
        case Ack(message):
            return JsonReply({"status": "ok", "message": message})
        case Done(data, message):
            return JsonReply({"status": "ok", "data": data, "message": message})
        case Page(rows, page, size, count):
            content = {"status": "ok", "data": rows, "message": None, "page": page, "size": size, "count": count}
            return JsonReply(content)
        case _:
            return JsonReply({"status": "ok", "data": answer, "message": None})
