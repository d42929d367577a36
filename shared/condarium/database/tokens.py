"""Tokens that were handed out: made, found on each use, listed, revoked."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session, joinedload

from condarium.database import roles
from condarium.database.listing import Page, Paging, read
from condarium.database.tables import Token
from condarium.errors import NotAuthorized, NotFound

TOKEN, SESSION = "token", "session"
#: what has ended is shown for this long
KEPT = timedelta(days=7)
#: how exact the last use is
USE_SECONDS = 60

Bindings = Mapping[str, Sequence[str]]

#: a token and all that were made with it, however far down
_FAMILY = text(
    """
    with recursive family as (
        select id from tokens where id = :id
        union all
        select child.id from tokens child join family on child.parent_id = family.id
    )
    update tokens set revoked_on = clock_timestamp(), revoked_by = :actor
    where id in (select id from family) and revoked_on is null
    returning id
    """
)


@dataclass(frozen=True)
class Wanted:
    """A token to be made. `role_bindings` are conda-store's form; `user_id` is None for owners out of settings."""

    owner: str
    primary_namespace: str
    role_bindings: Bindings
    expires_on: datetime
    name: str = ""
    kind: str = TOKEN
    user_id: int | None = None
    parent_id: int | None = None
    inherits: bool = False


def create(session: Session, wanted: Wanted, *, actor: str) -> Token:
    """The row of a new token; its `identity` is to be signed into the text."""
    _forget_ended(session)
    row = Token(
        identity=uuid.uuid4().hex,
        name=wanted.name,
        kind=wanted.kind,
        owner=wanted.owner,
        user_id=wanted.user_id,
        parent_id=wanted.parent_id,
        primary_namespace=wanted.primary_namespace,
        role_bindings={arn: list(roles) for arn, roles in wanted.role_bindings.items()},
        inherits=wanted.inherits,
        expires_on=wanted.expires_on,
        created_by=actor,
    )
    session.add(row)
    session.flush()
    return row


def find(session: Session, identity: str) -> Token | None:
    """The token, with its user loaded, while it is good: not revoked, not expired, its user not disabled."""
    query = (
        select(Token)
        .options(joinedload(Token.user))
        .where(Token.identity == identity, Token.revoked_on.is_(None), Token.expires_on > func.clock_timestamp())
    )
    found = session.execute(query).scalar_one_or_none()
    if found is None or (found.user is not None and found.user.disabled_on is not None):
        return None
    return found


def load(session: Session, token_id: int) -> Token:
    """Good or ended. Raises NotFound."""
    found = session.get(Token, token_id) if 0 < token_id < 2**63 else None
    if found is None:
        raise NotFound("token id does not exist")
    return found


def hold(session: Session, token_id: int) -> Token:
    """A token that something is made with: it does not end before this transaction does, and then ends that, too.

    Raises NotAuthorized when it has been revoked by now.
    """
    query = select(Token).where(Token.id == token_id, Token.revoked_on.is_(None)).with_for_update(read=True)
    found = session.execute(query).scalar_one_or_none()
    if found is None:
        raise NotAuthorized("the token of this request has been revoked")
    return found


def page(
    session: Session, *, owner: str | None, kind: str = "", made_with: int | None = None, paging: Paging
) -> Page[Any]:
    """Tokens that are good or ended in the last days, newest first.

    `owner` None is everybody's, empty `kind` any; `made_with` leaves that token and what was made with it.
    """
    query = select(
        Token.id,
        Token.name,
        Token.kind,
        Token.owner,
        Token.primary_namespace,
        Token.role_bindings,
        Token.created_on,
        Token.expires_on,
        Token.last_used_on,
        Token.revoked_on,
        Token.revoked_by,
    ).where(Token.expires_on > func.clock_timestamp() - KEPT)
    if owner is not None:
        query = query.where(Token.owner == owner)
    if kind:
        query = query.where(Token.kind == kind)
    if made_with is not None:
        query = query.where(or_(Token.id == made_with, Token.parent_id == made_with))
    newest_first = paging if paging.sort else replace(paging, descending=True)
    order = {"id": Token.id, "name": Token.name, "expires_on": Token.expires_on, "last_used_on": Token.last_used_on}
    return read(session, query, paging=newest_first, order=order, default=("id",), last=Token.id)


def revoke(session: Session, token_id: int, *, actor: str) -> list[int]:
    """Ends the token and all that were made with it; returns the ids of those that were good until now."""
    ended: list[int] = []
    # Whoever was making one with it was waited for, and only the next look sees what they made.
    while found := list(session.execute(_FAMILY, {"id": token_id, "actor": actor}).scalars()):
        ended += found
    roles.changed(session)
    return ended


def used(session: Session, token_ids: Collection[int]) -> None:
    """Writes that the tokens are in use now, if that was not written within USE_SECONDS."""
    now = func.clock_timestamp()
    stale = or_(Token.last_used_on.is_(None), Token.last_used_on < now - timedelta(seconds=USE_SECONDS))
    session.execute(update(Token).where(Token.id.in_(token_ids), stale).values(last_used_on=now))


def _forget_ended(session: Session) -> None:
    session.execute(delete(Token).where(Token.expires_on < func.clock_timestamp() - 4 * KEPT))
