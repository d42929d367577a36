"""What may be asked, the roles that may ask it, and bindings: a role on all that an ARN holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from condarium.domain.arn import Arn, parse_arn
from condarium.domain.credentials import show
from condarium.errors import InvalidInput


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


class Role(StrEnum):
    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Each role may do all that those below it may."""
        return list(Role).index(self)


_VIEWER = frozenset(
    {
        Action.READ_NAMESPACE,
        Action.READ_ROLE_MAPPING,
        Action.READ_ENVIRONMENT,
        Action.READ_BUILD,
        Action.READ_USAGE,
        Action.READ_EVENTS,
        Action.READ_CHANNELS,
        Action.PULL_IMAGE,
    }
)
_DEVELOPER = _VIEWER | {
    Action.CREATE_ENVIRONMENT,
    Action.UPDATE_ENVIRONMENT,
    Action.SOLVE_ENVIRONMENT,
    Action.CANCEL_BUILD,
    Action.READ_SETTING,
}
PERMISSIONS: Mapping[Role, frozenset[Action]] = {
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: _DEVELOPER,
    Role.ADMIN: frozenset(Action),
}

#: each request looks through all of its principal's
MOST_BINDINGS = 500

#: only the administrators of the whole installation may, whatever it is about
OF_THE_INSTALLATION = frozenset({Action.UPDATE_QUOTA, Action.MANAGE_TOKENS, Action.OPERATE})
#: of no namespace when none is named: who may do it anywhere may do it
OF_NO_PLACE = frozenset({Action.READ_CHANNELS, Action.SOLVE_ENVIRONMENT})
#: about the namespace itself, but known to whoever may see anything inside it
OF_ANY_PART = frozenset({Action.READ_NAMESPACE})


@dataclass(frozen=True, order=True)
class Binding:
    """Whoever has it has the role on all that the ARN holds."""

    arn: Arn
    role: Role

    def covers(self, other: "Binding") -> bool:
        return self.role.rank >= other.role.rank and self.arn.covers(other.arn)


def parse_role(text: str) -> Role:
    """`editor` is conda-store's other word for `developer`. Raises InvalidInput."""
    try:
        return Role.DEVELOPER if text == "editor" else Role(text)
    except ValueError:
        raise InvalidInput(f"{show(text)} is no role: viewer, developer (or editor) and admin are") from None


def parse_bindings(mapping: Mapping[str, Any]) -> tuple[Binding, ...]:
    """Out of conda-store's form, `{"team/*": ["developer"]}`; at most MOST_BINDINGS. Raises InvalidInput."""
    found: set[Binding] = set()
    for arn, roles in mapping.items():
        if not isinstance(roles, (list, tuple, set, frozenset)) or not all(isinstance(role, str) for role in roles):
            raise InvalidInput(f'the roles on {show(arn)} are no list of words, such as ["viewer"]')
        found |= {Binding(parse_arn(arn), parse_role(role)) for role in roles}
        if len(found) > MOST_BINDINGS:
            raise InvalidInput(f"more than {MOST_BINDINGS} roles are bound; use wider ARNs, such as team/*")
    return tuple(sorted(found))


def bindings_as_json(bindings: Iterable[Binding]) -> dict[str, list[str]]:
    """conda-store's form: the roles by the ARNs as they were bound."""
    found: dict[str, list[str]] = {}
    for binding in sorted(set(bindings)):
        found.setdefault(str(binding.arn), []).append(binding.role.value)
    return found


def missing(mine: Iterable[Binding], asked: Iterable[Binding]) -> list[Binding]:
    """What is asked for and more than `mine` holds: nobody gives away more than they have."""
    held = tuple(mine)
    return [each for each in asked if not any(binding.covers(each) for binding in held)]


def covers(mine: Iterable[Binding], asked: Iterable[Binding]) -> bool:
    """Whether `asked` is within `mine`."""
    return not missing(mine, asked)
