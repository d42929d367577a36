"""Environments: v1 by pages, v2 by cursor; where they point, and their end."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import environment_pages, environments
from condarium.database.environment_pages import ORDER, After
from condarium.domain import access
from condarium.domain.access import Action, Visible
from condarium.errors import InvalidInput
from services.api import handlers, lists, wire
from services.api.bodies import EnvironmentBody, EnvironmentsQuery, EnvironmentsV2Query, Model
from services.api.declaration import ACK, bare, page
from services.api.endpoint import Ack, Call, Gateway, quick, slow
from services.api.replies import environments as replies

ONE = "/api/v1/environment/{namespace}/{environment_name}/"


def routes(gateway: Gateway) -> list[Route]:
    return [
        slow(
            gateway,
            "/api/v1/environment/",
            list_environments,
            query=EnvironmentsQuery,
            deprecated=True,
            returns=page(replies.Environment),
            errors=(400,),
        ),
        slow(
            gateway,
            "/api/v2/environment/",
            list_environments_v2,
            query=EnvironmentsV2Query,
            returns=bare(replies.EnvironmentsAfter),
            errors=(400,),
        ),
        quick(gateway, ONE, show_environment, returns=replies.Environment, errors=(403,)),
        quick(gateway, ONE, update_environment, method="PUT", body=EnvironmentBody, returns=ACK, errors=(403, 409)),
        quick(gateway, ONE, delete_environment, method="DELETE", returns=ACK, errors=(400, 403, 409)),
    ]


async def list_environments(call: Call[EnvironmentsQuery, Any]) -> Response:
    """Environments that the caller sees; all of them when neither page nor size is asked for.

    conda-store's client reads one page until it has `count` rows.
    """
    paging = call.query.paging(all_by_default=True)
    found = await environment_pages.page(
        call.gateway.reads,
        call.query.wanted(),
        shown=await _visible(call),
        paging=paging,
        shape=wire.ENVIRONMENT_V1,
    )
    return lists.paged(found, paging)


async def _visible(call: Call[Any, Any]) -> Visible:
    """What the caller sees, less what the holder of `?jwt=` does not."""
    own = call.caller.visible()
    if not call.query.jwt:
        return own
    authenticator = call.gateway.authenticator
    other = await authenticator.principal(call.query.jwt) or authenticator.defaults.anybody
    return own & access.visible(other)


async def list_environments_v2(call: Call[EnvironmentsV2Query, Any]) -> Response:
    """Environments by cursor: `cursor` is what the page before gave, with the same `sort_by`."""
    query = call.query
    if not set(query.sort) <= set(ORDER):
        raise InvalidInput(f"Cannot sort results by {list(query.sort)}. Valid sort_by values are {list(ORDER)}")
    found, last = await environment_pages.after(
        call.gateway.reads,
        query.wanted(),
        shown=await _visible(call),
        sort=query.sort,
        descending=query.order == "desc",
        limit=query.limit,
        cursor=_read_cursor(query.cursor, query.sort),
        shape=wire.ENVIRONMENT,
    )
    return lists.after(found, _write_cursor(last, query.sort))


def _write_cursor(last: After | None, sort: Sequence[str]) -> str:
    """A cursor for every page; that of an empty page means the start."""
    content = {
        "last_id": last.id if last else None,
        "last_value": dict(zip(sort, last.values, strict=True)) if last else None,
    }
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def _read_cursor(text: str, sort: Sequence[str]) -> After | None:
    if not text:
        return None
    try:
        content = json.loads(base64.b64decode(text, validate=True))
        if content["last_id"] is None:
            return None
        values = tuple(content["last_value"][name] for name in sort)
        after = After(content["last_id"], values)
        # true is an int, too
        fits = type(after.id) is int and abs(after.id) < 2**63
        if not fits or not all(isinstance(value, str) and "\0" not in value for value in values):
            raise ValueError(text)
        "".join(values).encode()  # a lone surrogate is no text
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput(
            "the cursor is not one of this list; pass on what the page before gave, with the same sort_by"
        ) from None
    return after


def show_environment(session: Session, call: Call[Model, Any]) -> Any:
    """One environment."""
    namespace, name = call.text("namespace"), call.text("environment_name")
    call.caller.require(Action.READ_ENVIRONMENT, namespace, name)
    found = environments.load(session, namespace, name)
    return wire.environment_of(found, environments.shown_build(session, found))


def update_environment(session: Session, call: Call[Model, EnvironmentBody]) -> Any:
    """Makes another completed build of it the current one, or describes it anew."""
    handlers.update_environment(
        session,
        call.caller,
        call.text("namespace"),
        call.text("environment_name"),
        build_id=call.body.build_id,
        description=call.body.description,
    )
    return Ack()


def delete_environment(session: Session, call: Call[Model, Any]) -> Any:
    """Deletes an environment and what was built for it."""
    handlers.delete_environment(session, call.caller, call.text("namespace"), call.text("environment_name"))
    return Ack()
