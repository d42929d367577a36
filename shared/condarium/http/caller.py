"""Who asks: credentials out of a request, and the question whether they may. `authenticator` makes callers of them."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from condarium.domain import access
from condarium.domain.access import Action, Principal, Resource, Visible
from condarium.errors import NotAuthorized

COOKIE = "conda-store-auth"
#: conda-store's words
REFUSED = "request not authorized"


@dataclass(frozen=True)
class Caller:
    """The principal of one request, in this installation."""

    principal: Principal
    default_namespace: str = "default"
    #: (action, resource) that were required and granted, for the audit log
    asked: list[tuple[str, str]] = field(default_factory=list, compare=False, repr=False)

    @property
    def name(self) -> str:
        """What audit columns and events call the caller."""
        return self.principal.name

    @property
    def primary_namespace(self) -> str:
        """The namespace that is meant where none is named."""
        return self.principal.primary_namespace or self.default_namespace

    def may(self, action: Action, namespace: str = "", environment: str = "") -> bool:
        return access.may(self.principal, action, Resource(namespace, environment))

    def require(self, action: Action, namespace: str = "", environment: str = "") -> None:
        """Raises NotAuthorized unless the caller may do `action` on the environment, namespace or installation."""
        resource = str(Resource(namespace, environment).arn)
        if not self.may(action, namespace, environment):
            raise NotAuthorized(REFUSED, action=action.value, resource=resource)
        self.asked.append((action.value, resource))

    def visible(self, action: Action = Action.READ_ENVIRONMENT) -> Visible:
        """What lists may show the caller: where it may do `action`; see `database.listing.visible`."""
        return access.visible(self.principal, action)


def tokens(connection: HTTPConnection) -> Iterator[str]:
    """What the request shows, in conda-store's order: cookie, Bearer, password of Basic."""
    cookie = connection.cookies.get(COOKIE)
    if cookie:
        yield cookie
    for header in connection.headers.getlist("authorization"):
        scheme, _, value = header.strip().partition(" ")
        if scheme.lower() == "bearer":
            yield value.strip()
        elif scheme.lower() == "basic":
            yield from _basic_password(value.strip())


def _basic_password(value: str) -> Iterator[str]:
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    _, colon, password = decoded.partition(":")
    if colon:
        yield password
