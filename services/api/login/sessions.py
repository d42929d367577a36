"""A login as a cookie: a token of its own kind, that ends with the logout."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response

from condarium.database import audit, tokens
from condarium.database.tables import Token, User
from condarium.domain.access import Principal, bindings_as_json, parse_bindings
from condarium.domain.token import Claims
from condarium.http.caller import COOKIE
from services.api.endpoint import Call, Gateway
from services.api.login import places


@dataclass(frozen=True)
class Started:
    """`text` is the value of the cookie."""

    text: str
    expires_on: datetime
    principal: str


def of_token(session: Session, call: Call[Any, Any], principal: Principal) -> Started:
    """The login of whoever has shown a token: worth as much, for no longer, and ended with it."""
    end = _end(call.gateway, principal.expires_on)
    if principal.token_id is None:
        shown = bindings_as_json(principal.bindings)
        wanted = tokens.Wanted(
            principal.name, _primary(call, principal), shown, end, kind=tokens.SESSION, inherits=True
        )
    else:
        row = tokens.hold(session, principal.token_id)
        wanted = tokens.Wanted(
            row.owner,
            row.primary_namespace,
            row.role_bindings,
            end,
            kind=tokens.SESSION,
            user_id=row.user_id,
            parent_id=row.id,
            inherits=row.inherits,
        )
    return _start(session, call, wanted, "token")


def of_user(session: Session, call: Call[Any, Any], user: User) -> Started:
    """The login of somebody whom a provider knows."""
    primary = user.primary_namespace or call.gateway.settings.default_namespace
    owner = Principal(user.name, parse_bindings(user.role_bindings), True, user.primary_namespace)
    shown = bindings_as_json(call.gateway.authenticator.defaults.standing(owner).bindings)
    end = _end(call.gateway, None)
    wanted = tokens.Wanted(user.name, primary, shown, end, kind=tokens.SESSION, user_id=user.id, inherits=True)
    return _start(session, call, wanted, user.provider)


def _primary(call: Call[Any, Any], principal: Principal) -> str:
    return principal.primary_namespace or call.gateway.settings.default_namespace


def _end(gateway: Gateway, last: datetime | None) -> datetime:
    usual = datetime.now(UTC) + timedelta(seconds=min(gateway.login.token_seconds, gateway.login.token_max_seconds))
    return usual if last is None else min(usual, last)


def _start(session: Session, call: Call[Any, Any], wanted: tokens.Wanted, by: str) -> Started:
    row: Token = tokens.create(session, wanted, actor=wanted.owner)
    audit.record(
        session,
        principal=wanted.owner,
        action="login",
        resource="*/*",
        details={"by": by, "token": row.id},
        address=call.address,
    )
    claims = Claims(row.identity, row.owner, row.expires_on, row.primary_namespace, row.role_bindings)
    return Started(call.gateway.held_tokens.key.sign_for_cookie(claims), row.expires_on, row.owner)


def end(session: Session, call: Call[Any, Any]) -> None:
    """Ends the caller's login, if it is one: a token in the cookie is the user's own to revoke."""
    principal = call.caller.principal
    if principal.token_id is None:
        return
    row = tokens.load(session, principal.token_id)
    if row.kind == tokens.SESSION and row.revoked_on is None:
        tokens.revoke(session, row.id, actor=principal.name)
        audit.record(
            session,
            principal=principal.name,
            action="logout",
            resource="*/*",
            details={"token": row.id},
            address=call.address,
        )


def set_cookie(call: Call[Any, Any], reply: Response, started: Started) -> None:
    seconds = int((started.expires_on - datetime.now(UTC)).total_seconds())
    reply.set_cookie(COOKIE, started.text, max_age=seconds, **_attributes(call.gateway))


def clear_cookie(call: Call[Any, Any], reply: Response) -> None:
    reply.delete_cookie(COOKIE, **_attributes(call.gateway))


def _attributes(gateway: Gateway) -> dict[str, Any]:
    return {
        "path": places.cookie_path(gateway),
        "secure": places.is_secure(gateway),
        "httponly": True,
        "samesite": "strict",
    }
