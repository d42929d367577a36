"""Those who have logged in through a provider or by the development login: listed, shut out, let in again."""

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import users
from condarium.domain.access import Action
from services.api import wire
from services.api.bodies import Model, PagingQuery
from services.api.declaration import ACK, page
from services.api.endpoint import Ack, Call, Gateway, quick
from services.api.replies.users import UserRow


class UserBody(Model):
    disabled: bool


def routes(gateway: Gateway) -> list[Route]:
    path = "/api/v1/user/"
    return [
        quick(gateway, path, list_users, query=PagingQuery, returns=page(UserRow), errors=(403,)),
        quick(gateway, f"{path}{{user_name}}/", change_user, method="PUT", body=UserBody, returns=ACK, errors=(403,)),
    ]


def list_users(session: Session, call: Call[PagingQuery, Any]) -> Any:
    """Who has ever logged in, and what the last login gave."""
    call.caller.require(Action.MANAGE_TOKENS)
    found = users.page(session, paging=call.query.paging())
    return replace(found, rows=[_shown(row) for row in found.rows])


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "provider": row.provider,
        "primary_namespace": row.primary_namespace,
        "role_bindings": row.role_bindings,
        "created_on": wire.moment(row.created_on),
        "last_login_on": wire.moment(row.last_login_on),
        "disabled_on": wire.moment(row.disabled_on),
    }


def change_user(session: Session, call: Call[Model, UserBody]) -> Any:
    """Shuts somebody out: no login, and every token of theirs is worth nothing; or lets them in again."""
    call.caller.require(Action.MANAGE_TOKENS)
    user = users.load(session, call.text("user_name"))
    users.disable(session, user, disabled=call.body.disabled)
    call.notes.update(user=user.name, disabled=call.body.disabled)
    return Ack(f"{user.name} is disabled" if call.body.disabled else f"{user.name} may log in")
