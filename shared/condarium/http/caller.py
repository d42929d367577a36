"""Who asks: credentials out of a request, and the question whether they may."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from condarium.domain import access
from condarium.domain.access import ANONYMOUS, Action, Principal, Resource
from condarium.errors import NotAuthorized

COOKIE = "conda-store-auth"
#: conda-store's words
REFUSED = "request not authorized"


@dataclass(frozen=True)
class Caller:
    """The principal of one request, in this installation."""

    principal: Principal
    default_namespace: str = "default"

    @property
    def name(self) -> str:
        """What audit columns and events call the caller."""
        return self.principal.name

    def may(self, action: Action, namespace: str = "", environment: str = "") -> bool:
        resource = Resource(namespace, environment)
        return access.may(self.principal, action, resource, default_namespace=self.default_namespace)

    def require(self, action: Action, namespace: str = "", environment: str = "") -> None:
        """Raises NotAuthorized unless the caller may do `action` on the environment, namespace or installation."""
        if not self.may(action, namespace, environment):
            raise NotAuthorized(REFUSED)

    def visible(self) -> frozenset[str] | None:
        """The namespaces whose rows the caller may list; None means all."""
        return access.visible_namespaces(self.principal, default_namespace=self.default_namespace)


@dataclass(frozen=True)
class Authenticator:
    """Makes callers of requests. A wrong or malformed credential is anonymous, as conda-store's clients expect."""

    admin_token: str
    default_namespace: str = "default"

    def caller(self, connection: HTTPConnection) -> Caller:
        return Caller(self._principal(connection), self.default_namespace)

    def _principal(self, connection: HTTPConnection) -> Principal:
        for token in tokens(connection):
            found = access.principal_for_token(token, self.admin_token)
            if found is not ANONYMOUS:
                return found
        return ANONYMOUS


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
