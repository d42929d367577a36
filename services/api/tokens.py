"""Tokens over REST: made, listed, revoked."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import tokens
from condarium.database.tables import Token
from condarium.domain import minting
from condarium.domain.access import Action, Principal
from condarium.domain.minting import Asked, Life
from condarium.domain.token import Claims
from condarium.errors import NotAuthorized
from condarium.http.caller import REFUSED
from services.api import wire
from services.api.auditing import record_write
from services.api.bodies import Model, PagingQuery, Text, WithoutNul
from services.api.declaration import ACK, page
from services.api.endpoint import Ack, Call, Gateway, enveloped, quick, slow
from services.api.moments import Moment
from services.api.replies.tokens import NewToken, TokenRow


class TokenBody(Model):
    """All of it may be left out. `exp` is what conda-store's own client calls `expiration`."""

    may_be_empty: ClassVar[bool] = True

    primary_namespace: Text | None = None
    expiration: Moment = None
    exp: Moment = None
    role_bindings: dict[Text, list[Text]] | None = None
    name: Annotated[str, Field(max_length=100), WithoutNul] = ""

    def asked(self) -> Asked:
        return Asked(self.primary_namespace or None, self.role_bindings, self.expiration or self.exp)


class TokensQuery(PagingQuery):
    """`owner` is oneself by default; another one, or `*` for all, is for administrators."""

    owner: Text = ""
    kind: Literal["", "token", "session"] = ""


def routes(gateway: Gateway) -> list[Route]:
    path = "/api/v1/token/"
    return [
        quick(gateway, path, create_token, method="POST", body=TokenBody, returns=NewToken, errors=(403,)),
        quick(gateway, path, list_tokens, query=TokensQuery, returns=page(TokenRow), errors=(403,)),
        slow(gateway, f"{path}{{token_id}}/", revoke_token, method="DELETE", returns=ACK, errors=(403,)),
    ]


def create_token(session: Session, call: Call[Model, TokenBody]) -> Any:
    """A token that carries what the caller may do, or less of it."""
    principal, gateway = call.caller.principal, call.gateway
    granted = minting.grant(
        principal,
        call.body.asked(),
        default_namespace=gateway.settings.default_namespace,
        any_namespace=call.caller.may(Action.MANAGE_TOKENS),
        now=datetime.now(UTC),
        life=Life(gateway.login.token_seconds, gateway.login.token_max_seconds),
    )
    made_with = _row(session, principal)
    wanted = tokens.Wanted(
        owner=principal.name,
        primary_namespace=granted.primary_namespace,
        role_bindings=granted.role_bindings,
        expires_on=granted.expires_on,
        name=call.body.name,
        user_id=made_with.user_id if made_with else None,
        parent_id=_parent(made_with),
    )
    row = tokens.create(session, wanted, actor=principal.name)
    call.notes.update(token=row.id, name=row.name, expires_on=wire.moment(row.expires_on), bindings=row.role_bindings)
    text = gateway.held_tokens.key.sign(claims_of(row))
    return {
        "token": text,
        "condarium": {"id": row.id, "name": row.name, "expires_on": wire.moment(row.expires_on)},
    }


def claims_of(row: Token) -> Claims:
    return Claims(row.identity, row.owner, row.expires_on, row.primary_namespace, row.role_bindings)


def _row(session: Session, principal: Principal) -> Token | None:
    """The row of the token that the caller shows; None for those of settings. Raises NotAuthorized."""
    return tokens.hold(session, principal.token_id) if principal.token_id is not None else None


def _parent(made_with: Token | None) -> int | None:
    """What ends the new token with it. A login's end is not the end of the tokens that were made in it."""
    if made_with is None or made_with.kind == tokens.TOKEN:
        return made_with.id if made_with else None
    return made_with.parent_id


def list_tokens(session: Session, call: Call[TokensQuery, Any]) -> Any:
    """One's own tokens and logins, the newest first; their texts are not kept."""
    principal, owner = call.caller.principal, call.query.owner or call.caller.name
    manages = call.caller.may(Action.MANAGE_TOKENS)
    if not principal.is_authenticated or (owner != principal.name and not manages):
        raise NotAuthorized(REFUSED)
    found = tokens.page(
        session,
        owner=None if owner == "*" else owner,
        kind=call.query.kind,
        made_with=_narrow(principal),
        paging=call.query.paging(),
    )
    now = datetime.now(UTC)
    return replace(found, rows=[_shown(row, now, principal) for row in found.rows])


def _narrow(principal: Principal) -> int | None:
    """A token that was made for less than its owner has knows itself and what was made with it, nothing else."""
    return principal.token_id if principal.token_id is not None and not principal.inherits else None


def _shown(row: Any, now: datetime, principal: Principal) -> dict[str, Any]:
    state = "revoked" if row.revoked_on else "expired" if row.expires_on <= now else "good"
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "owner": row.owner,
        "primary_namespace": row.primary_namespace,
        "role_bindings": row.role_bindings,
        "state": state,
        "created_on": wire.moment(row.created_on),
        "expires_on": wire.moment(row.expires_on),
        "last_used_on": wire.moment(row.last_used_on),
        "revoked_on": wire.moment(row.revoked_on),
        "revoked_by": row.revoked_by,
        "current": row.id == principal.token_id,
    }


async def revoke_token(call: Call[Model, Any]) -> Response:
    """Ends a token, and those that were made with it, at once and everywhere."""
    token_id = call.number("token_id")

    def revoke(session: Session) -> int:
        row = find_token(session, call)
        ended = tokens.revoke(session, row.id, actor=call.caller.name)
        call.notes.update(owner=row.owner, name=row.name, ended=ended)
        answer = Ack()
        record_write(session, call, "revoke_token", answer)
        return len(ended)

    ended = await call.within(revoke)
    # Others hear of it by the database; what this process answers next must know already.
    call.gateway.authenticator.forget()
    message = f"token {token_id} revoked" if ended else f"token {token_id} had ended before"
    return enveloped(Ack(message if ended < 2 else f"{message}, and {ended - 1} made with it"))


def find_token(session: Session, call: Call[Model, Any]) -> Token:
    """The token of the path, if the caller may revoke it. Raises NotAuthorized, NotFound."""
    manages = call.caller.may(Action.MANAGE_TOKENS)
    if not call.caller.principal.is_authenticated:
        raise NotAuthorized(REFUSED)
    row = tokens.load(session, call.number("token_id"))
    if not manages and not _is_own(call.caller.principal, row):
        raise NotAuthorized(REFUSED)
    return row


def _is_own(principal: Principal, row: Token) -> bool:
    narrow = _narrow(principal)
    return principal.name == row.owner and (narrow is None or narrow in (row.id, row.parent_id))
