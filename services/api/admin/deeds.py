"""The functions of REST, called for a page: the same questions of who may, the same rows in the audit log."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from services.api.auditing import record_write
from services.api.endpoint import Call

Quick = Callable[[Session, Call[Any, Any]], Any]
Slow = Callable[[Call[Any, Any]], Awaitable[Response]]


def as_rest(
    call: Call[Any, Any], *, query: Any = None, body: Any = None, path: Mapping[str, str] | None = None
) -> Call[Any, Any]:
    """The call as the route of REST would get it; `path` are the parts of its path where the page has others."""
    request = call.request if path is None else Request({**call.request.scope, "path_params": dict(path)})
    # What the page itself asked is no part of the deed.
    caller = replace(call.caller, asked=[])
    return replace(call, caller=caller, request=request, query=query, body=body, notes={})


async def read(call: Call[Any, Any], function: Quick, *, query: Any = None) -> Any:
    """What a quick route answers, before it is put into an envelope."""
    asked = as_rest(call, query=query)
    return await call.within(lambda session: function(session, asked))


async def listed(call: Call[Any, Any], function: Slow, query: Any) -> dict[str, Any]:
    """What a slow route answers in JSON: `data`, `count` and the like."""
    reply = await function(as_rest(call, query=query))
    found: dict[str, Any] = json.loads(bytes(reply.body))
    return found


async def write(
    call: Call[Any, Any], function: Quick, *, body: Any = None, path: Mapping[str, str] | None = None
) -> Any:
    """Does what a quick route does; its row in the audit log is in the same transaction."""
    asked = as_rest(call, body=body, path=path)

    def run(session: Session) -> Any:
        answer = function(session, asked)
        record_write(session, asked, function.__name__, answer)
        return answer

    return await call.within(run)
