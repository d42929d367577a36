"""Those who have logged in through a provider, or by the development login."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import namespaces, roles
from condarium.database.listing import Page, Paging, read
from condarium.database.tables import User
from condarium.errors import NotAuthorized, NotFound

#: of the transaction lock under which people get their namespaces
FIRST_LOGIN_LOCK = 0x6C6F67696E


@dataclass(frozen=True)
class Identity:
    """Who a provider says it is; `subject` is theirs for ever, `name` is what they are called now."""

    provider: str
    subject: str
    name: str
    #: the one of their own, where nobody else has it; empty for none
    primary_namespace: str
    role_bindings: Mapping[str, Sequence[str]]
    #: the same where the namespace of that name is not theirs: it was there before, or they were called otherwise
    bindings_elsewhere: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: whether a namespace that is there already is somebody else's
    exclusive: bool = True

    def given(self, own: str) -> dict[str, list[str]]:
        """The bindings of a user whose own namespace is `own`; a name that anybody can choose gives no other one."""
        found = self.role_bindings if own == self.primary_namespace else self.bindings_elsewhere
        return {arn: list(roles) for arn, roles in found.items()}


def log_in(session: Session, identity: Identity) -> User:
    """The user's row, made at the first login, with the rights that this login gives.

    Raises NotAuthorized when the user is disabled, or the name is that of another account.
    """
    query = select(User).where(User.provider == identity.provider, User.subject == identity.subject).with_for_update()
    found = session.execute(query).scalar_one_or_none() or _first_login(session, identity)
    if found is None:
        raise NotAuthorized(
            f"the name {identity.name!r} belongs to another account here; an administrator can say whose it is"
        )
    if found.disabled_on is not None:
        raise NotAuthorized(f"the account {found.name!r} is disabled here")
    given = identity.given(found.primary_namespace)
    if found.role_bindings != given:
        found.role_bindings = given
        roles.changed(session)
    # The name stays what it was at the first login: tokens, audit and namespaces hold it.
    found.last_login_on = session.execute(select(func.clock_timestamp())).scalar_one()
    return found


def _first_login(session: Session, identity: Identity) -> User | None:
    """None when the name is taken."""
    # One at a time: two new people must not get the same namespace.
    session.execute(select(func.pg_advisory_xact_lock(FIRST_LOGIN_LOCK)))
    primary = identity.primary_namespace
    if primary and identity.exclusive and _is_taken(session, primary):
        primary = ""
    session.execute(
        insert(User)
        .values(
            name=identity.name,
            provider=identity.provider,
            subject=identity.subject,
            primary_namespace=primary,
            role_bindings=identity.given(primary),
            created_by=identity.name,
        )
        .on_conflict_do_nothing()
    )
    query = select(User).where(User.provider == identity.provider, User.subject == identity.subject).with_for_update()
    return session.execute(query).scalar_one_or_none()


def _is_taken(session: Session, namespace: str) -> bool:
    """Whoever chooses their name at a provider must not become the master of what others have made under it."""
    if namespaces.find(session, namespace) is not None:
        return True
    return session.execute(select(User.id).where(User.primary_namespace == namespace)).first() is not None


def load(session: Session, name: str) -> User:
    """Raises NotFound."""
    found = session.execute(select(User).where(User.name == name)).scalar_one_or_none()
    if found is None:
        raise NotFound("user does not exist")
    return found


def page(session: Session, *, paging: Paging) -> Page[Any]:
    """All who have ever logged in, by name."""
    query = select(
        User.id,
        User.name,
        User.provider,
        User.primary_namespace,
        User.role_bindings,
        User.created_on,
        User.last_login_on,
        User.disabled_on,
    )
    order = {"name": User.name, "last_login_on": User.last_login_on}
    return read(session, query, paging=paging, order=order, default=("name",), last=User.id)


def disable(session: Session, user: User, *, disabled: bool = True) -> None:
    """Ends all that the user holds, at once; a second call with False lets the user in again."""
    user.disabled_on = session.execute(select(func.clock_timestamp())).scalar_one() if disabled else None
    roles.changed(session)
