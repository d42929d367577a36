"""Environments: v1 by pages, v2 by cursor; where they point, and their end."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import environments, listing_environments
from condarium.database.listing_environments import ORDER, After
from condarium.domain import access
from condarium.domain.access import Action, Visible
from condarium.errors import InvalidInput
from condarium.http.json_reply import JsonReply
from services.api import handlers, wire
from services.api.bodies import MAX_PAGE_SIZE, EnvironmentBody, EnvironmentsQuery, EnvironmentsV2Query, Model
from services.api.declaration import ACK, bare, page
from services.api.endpoint import Ack, Call, Gateway, quick
from services.api.replies import environments as replies

ONE = "/api/v1/environment/{namespace}/{environment_name}/"


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(
            gateway,
            "/api/v1/environment/",
            list_environments,
            query=EnvironmentsQuery,
            deprecated=True,
            returns=page(replies.Environment),
        ),
        quick(
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


def list_environments(session: Session, call: Call[EnvironmentsQuery, Any]) -> Any:
    """Environments that the caller sees; all of them when neither page nor size is asked for.

    conda-store's client reads one page until it has `count` rows.
    """
    found = listing_environments.page(
        session, call.query.wanted(), shown=_visible(session, call), paging=call.query.paging(all_by_default=True)
    )
    size = found.size if call.query.size else max(found.size, MAX_PAGE_SIZE)
    return replace(found, rows=[wire.environment_v1(row) for row in found.rows], size=size)


def _visible(session: Session, call: Call[Any, Any]) -> Visible:
    """What the caller sees, less what the holder of `?jwt=` does not."""
    own = call.caller.visible()
    if not call.query.jwt:
        return own
    authenticator = call.gateway.authenticator
    other = authenticator.recognise(session, call.query.jwt) or authenticator.defaults.anybody
    return own & access.visible(other)


def list_environments_v2(session: Session, call: Call[EnvironmentsV2Query, Any]) -> Response:
    """Environments by cursor: `cursor` is what the page before gave, with the same `sort_by`."""
    query = call.query
    if not set(query.sort) <= set(ORDER):
        raise InvalidInput(f"Cannot sort results by {list(query.sort)}. Valid sort_by values are {list(ORDER)}")
    rows, count = listing_environments.after(
        session,
        query.wanted(),
        shown=_visible(session, call),
        sort=query.sort,
        descending=query.order == "desc",
        limit=query.limit,
        cursor=_read_cursor(query.cursor, query.sort),
    )
    cursor = _write_cursor(rows, query.sort)
    shown = [wire.environment(row) for row in rows]
    return JsonReply({"data": shown, "status": "ok", "message": None, "cursor": cursor, "count": count})


def _write_cursor(rows: Sequence[Any], sort: Sequence[str]) -> str:
    """A cursor for every page; that of an empty page means the start."""
    last = rows[-1] if rows else None
    content = {
        "last_id": last.id if last else None,
        "last_value": listing_environments.row_values(last, sort) if last else None,
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
        fits = isinstance(after.id, int) and abs(after.id) < 2**63
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
    return wire.environment_of(environments.load(session, namespace, name))


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
