"""Who may do what. Every route, stream and blob asks `may`; until roles exist there are two principals."""

import hmac
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """conda-store's permission names where it has one."""

    READ_NAMESPACE = "namespace::read"
    CREATE_NAMESPACE = "namespace::create"
    UPDATE_NAMESPACE = "namespace::update"
    DELETE_NAMESPACE = "namespace::delete"
    READ_ROLE_MAPPING = "namespace-role-mapping::read"
    CREATE_ROLE_MAPPING = "namespace-role-mapping::create"
    UPDATE_ROLE_MAPPING = "namespace-role-mapping::update"
    DELETE_ROLE_MAPPING = "namespace-role-mapping::delete"
    READ_ENVIRONMENT = "environment::read"
    CREATE_ENVIRONMENT = "environment::create"
    UPDATE_ENVIRONMENT = "environment::update"
    DELETE_ENVIRONMENT = "environment::delete"
    SOLVE_ENVIRONMENT = "environment::solve"
    READ_BUILD = "build::read"
    DELETE_BUILD = "build::delete"
    CANCEL_BUILD = "build::cancel"
    PULL_IMAGE = "image::pull"
    READ_EVENTS = "events::read"
    READ_CHANNELS = "channel::read"
    READ_SETTING = "setting::read"
    UPDATE_SETTING = "setting::update"
    #: names and kinds of credentials; what they hold is never shown
    READ_CREDENTIAL = "credential::read"
    UPDATE_CREDENTIAL = "credential::update"
    READ_USAGE = "usage::read"
    UPDATE_QUOTA = "quota::update"
    READ_AUDIT = "audit::read"
    #: the tokens of other people
    MANAGE_TOKENS = "token::manage"
    OPERATE = "system::operate"


READING = frozenset(
    {
        Action.READ_NAMESPACE,
        Action.READ_ENVIRONMENT,
        Action.READ_BUILD,
        Action.PULL_IMAGE,
        Action.READ_EVENTS,
        Action.READ_CHANNELS,
    }
)


@dataclass(frozen=True)
class Principal:
    """Who asks; `name` is what audit columns and events call them."""

    name: str
    is_admin: bool = False
    is_authenticated: bool = False


ANONYMOUS = Principal("anonymous")
ADMIN = Principal("admin", is_admin=True, is_authenticated=True)
#: the watcher and the services' own background work
SYSTEM = Principal("system", is_admin=True, is_authenticated=True)


@dataclass(frozen=True)
class Resource:
    """What is asked for; an empty `environment` is the namespace itself, an empty `namespace` the installation."""

    namespace: str = ""
    environment: str = ""

    @property
    def arn(self) -> str:
        return f"{self.namespace or '*'}/{self.environment or '*'}"


def may(principal: Principal, action: Action, resource: Resource, *, default_namespace: str = "default") -> bool:
    """Whether `principal` may do `action` on `resource`. The administrator may do all, anonymous reads `default`."""
    if principal.is_admin:
        return True
    return action in READING and resource.namespace == default_namespace


def visible_namespaces(principal: Principal, *, default_namespace: str = "default") -> frozenset[str] | None:
    """The namespaces whose rows the principal may list; None means all of them."""
    return None if principal.is_admin else frozenset({default_namespace})


def principal_for_token(token: str | None, admin_token: str) -> Principal:
    """A wrong or missing token is anonymous, as conda-store's clients expect; the comparison takes constant time."""
    if token and hmac.compare_digest(token.encode(), admin_token.encode()):
        return ADMIN
    return ANONYMOUS
