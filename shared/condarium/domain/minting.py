"""What a new token may be: nobody hands out more than they have, or for longer. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from condarium.domain.access import Binding, Principal, bindings_as_json, covers, parse_bindings
from condarium.domain.naming import check_name
from condarium.errors import InvalidInput, NotAuthorized

#: conda-store's words
REFUSED = "request not authorized"
TOO_MUCH = "Requested role_bindings are not a subset of current permissions"
TOO_LONG = "Requested expiration of token is greater than current permissions"


@dataclass(frozen=True)
class Life:
    """Seconds: of a token that asks for nothing, and the most that may be asked for."""

    usual: int
    most: int


@dataclass(frozen=True)
class Asked:
    """What a token is wanted for; None means as the one who asks. `expires_on` is aware."""

    primary_namespace: str | None = None
    role_bindings: Mapping[str, Any] | None = None
    expires_on: datetime | None = None


@dataclass(frozen=True)
class Granted:
    primary_namespace: str
    role_bindings: dict[str, list[str]]
    expires_on: datetime


def grant(
    principal: Principal, asked: Asked, *, default_namespace: str, any_namespace: bool, now: datetime, life: Life
) -> Granted:
    """What the token will be. `any_namespace` is whether the principal may name another primary one than its own.

    Raises:
        NotAuthorized: whoever asks has not logged in.
        InvalidInput: more than they have, or for longer, or longer than the installation allows.
    """
    if not principal.is_authenticated:
        raise NotAuthorized(REFUSED)
    own = principal.primary_namespace or default_namespace
    primary = asked.primary_namespace or own
    if primary != own:
        check_name("namespace", primary)
        # Roles are given to the members of namespaces: a namespace of one's choice would be roles of one's choice.
        if not any_namespace:
            raise InvalidInput(
                f"Requested primary_namespace is not {own!r}, your own; only an administrator may name another"
            )
    return Granted(primary, _bindings(principal, asked.role_bindings), _end(principal, asked.expires_on, now, life))


def _bindings(principal: Principal, asked: Mapping[str, Any] | None) -> dict[str, list[str]]:
    wanted: Iterable[Binding] = principal.bindings if asked is None else parse_bindings(asked)
    if not covers(principal.bindings, wanted):
        raise InvalidInput(TOO_MUCH)
    return bindings_as_json(wanted)


def _end(principal: Principal, asked: datetime | None, now: datetime, life: Life) -> datetime:
    last = principal.expires_on
    if asked is None:
        usual = now + timedelta(seconds=min(life.usual, life.most))
        return usual if last is None else min(usual, last)
    if asked <= now:
        raise InvalidInput(f"Requested expiration of token is in the past; it is {now:%Y-%m-%dT%H:%M:%SZ} now")
    if last is not None and asked > last:
        raise InvalidInput(TOO_LONG)
    if asked > now + timedelta(seconds=life.most):
        raise InvalidInput(
            f"Requested expiration of token is more than {life.most} seconds away, the most that this installation "
            "allows (CONDARIUM_TOKEN_MAX_SECONDS)"
        )
    return asked
