"""Who may do what: decided out of the bindings of the principal that asks. Every route, stream and blob asks `may`."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from condarium.domain.arn import ANY, EVERYTHING, Arn, matches, widest
from condarium.domain.roles import (
    OF_ANY_PART,
    OF_NO_PLACE,
    OF_THE_INSTALLATION,
    PERMISSIONS,
    Action,
    Binding,
    Role,
    bindings_as_json,
    covers,
    missing,
    parse_bindings,
    parse_role,
)

__all__ = [
    "ADMIN",
    "ANONYMOUS",
    "SYSTEM",
    "Action",
    "Arn",
    "Binding",
    "Principal",
    "Resource",
    "Role",
    "Visible",
    "bindings_as_json",
    "covers",
    "may",
    "missing",
    "parse_bindings",
    "parse_role",
    "permissions",
    "visible",
]

ADMINISTRATOR = Binding(EVERYTHING, Role.ADMIN)


@dataclass(frozen=True)
class Principal:
    """Who asks; `name` is what audit columns and events call them.

    `bindings` are in force as they stand: defaults and the database's role mappings are already among them (see
    `http.authenticator`). `primary_namespace` is empty for the installation's default one. `inherits` says whether
    those defaults and mappings are added to `bindings` when the principal is recognised; a token that was made for
    less than its owner has does not inherit. `token_id` is the row of the token that was shown, None for others.
    """

    name: str
    bindings: tuple[Binding, ...] = ()
    is_authenticated: bool = False
    primary_namespace: str = ""
    expires_on: datetime | None = None
    token_id: int | None = None
    inherits: bool = True

    @property
    def is_admin(self) -> bool:
        """Of the whole installation."""
        return ADMINISTRATOR in self.bindings


#: without the bindings that the installation gives to everybody
ANONYMOUS = Principal("anonymous")
ADMIN = Principal("admin", (ADMINISTRATOR,), is_authenticated=True)
#: the watcher and the services' own background work
SYSTEM = Principal("system", (ADMINISTRATOR,), is_authenticated=True)


@dataclass(frozen=True)
class Resource:
    """What is asked for; an empty `environment` is the namespace itself, an empty `namespace` the installation."""

    namespace: str = ""
    environment: str = ""

    @property
    def arn(self) -> Arn:
        return Arn(self.namespace or ANY, self.environment or ANY)


def may(principal: Principal, action: Action, resource: Resource) -> bool:
    """Whether one of the principal's bindings lets it do `action` on `resource`.

    What is about a namespace itself needs a role on all of it, and what is about the installation one on `*/*`.
    """
    asked = EVERYTHING if action in OF_THE_INSTALLATION else resource.arn
    for binding in principal.bindings:
        if action not in PERMISSIONS[binding.role]:
            continue
        if binding.arn.covers(asked) or (action in OF_NO_PLACE and not resource.namespace):
            return True
        if action in OF_ANY_PART and resource.namespace and matches(binding.arn.namespace, resource.namespace):
            return True
    return False


def permissions(principal: Principal, arn: Arn) -> list[str]:
    """All that the principal may do on whatever the ARN holds, sorted."""
    found: set[Action] = set()
    for binding in principal.bindings:
        if binding.arn.covers(arn):
            found |= PERMISSIONS[binding.role]
    return sorted(found if arn.everything else found - OF_THE_INSTALLATION)


@dataclass(frozen=True)
class Visible:
    """What lists may show: what fits one of `arns`, and `within` where that is set. `listing.visible` makes it SQL."""

    arns: tuple[Arn, ...] = ()
    within: "Visible | None" = field(default=None, repr=False)

    @property
    def everything(self) -> bool:
        return any(arn.everything for arn in self.arns) and (self.within is None or self.within.everything)

    def shows(self, namespace: str, environment: str = "") -> bool:
        """Whether it holds the environment, or anything of the namespace when none is named."""
        return any(
            matches(arn.namespace, namespace) and (not environment or matches(arn.environment, environment))
            for arn in self.arns
        ) and (self.within is None or self.within.shows(namespace, environment))

    @property
    def whole_namespaces(self) -> "Visible":
        """Only that of which all is visible: for sums over namespaces."""
        whole = tuple(arn for arn in self.arns if arn.whole_namespaces)
        return Visible(whole, self.within.whole_namespaces if self.within else None)

    def __and__(self, other: "Visible") -> "Visible":
        if self.within is None:
            return other if self.everything else Visible(self.arns, other)
        return Visible(self.arns, self.within & other)


ALL_VISIBLE = Visible((EVERYTHING,))


def visible(principal: Principal, action: Action = Action.READ_ENVIRONMENT) -> Visible:
    """Where the principal may do `action`, for lists."""
    return _visible(principal.bindings, action)


@lru_cache(maxsize=1024)
def _visible(bindings: tuple[Binding, ...], action: Action) -> Visible:
    """Remembered: finding the widest of many patterns compares each with each."""
    return Visible(widest(each.arn for each in bindings if action in PERMISSIONS[each.role]))
