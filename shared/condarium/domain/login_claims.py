"""What a login provider says of somebody, as a name, a namespace and bindings here. Pure.

Nothing is given but what a setting says: who fits no pattern has what everybody who logs in has.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from condarium.domain.access import Binding, parse_bindings
from condarium.domain.naming import MAX_NAME, check_name
from condarium.errors import ConfigError, InvalidInput, NotAuthorized

VALUE, USERNAME = "{value}", "{username}"
#: of principals that are no people
RESERVED = frozenset({"admin", "anonymous", "system"})
LONGEST_NAME = 200

Claims = Mapping[str, Any]


@dataclass(frozen=True)
class Rules:
    """The settings LOGIN_USERNAME_CLAIM, LOGIN_ALLOWED and LOGIN_BINDINGS, checked. Raises ConfigError."""

    username_claim: str
    allowed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bindings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            for templates in _templates(self.bindings):
                parse_bindings({_filled(arn, "value", "user"): roles for arn, roles in templates.items()})
        except InvalidInput as error:
            raise ConfigError(f"CONDARIUM_LOGIN_BINDINGS: {error}") from None

    def username(self, claims: Claims) -> str:
        """What the person is called here. Raises NotAuthorized when the provider does not say, or not in one line."""
        name = next(iter(values(claims, self.username_claim)), "")
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise NotAuthorized(
                f"the login provider gave no usable user name in the claim {self.username_claim!r} "
                "(CONDARIUM_LOGIN_USERNAME_CLAIM)"
            )
        return name

    def check_allowed(self, claims: Claims) -> None:
        """Raises NotAuthorized for somebody who may not log in here."""
        if self.allowed and not any(True for _ in _fitting(claims, self.allowed)):
            raise NotAuthorized(
                f"the account {self.username(claims)!r} may not log in here (CONDARIUM_LOGIN_ALLOWED); "
                "ask an administrator"
            )

    def given(self, claims: Claims, primary_namespace: str) -> tuple[Binding, ...]:
        """What the claims give, besides what everybody has who logs in."""
        found: set[Binding] = set()
        for claim, patterns in self.bindings.items():
            for value in values(claims, claim):
                for pattern, templates in patterns.items():
                    if fnmatchcase(value, pattern):
                        found |= set(_bound(templates, value, primary_namespace))
        return tuple(sorted(found))


def values(claims: Claims, name: str) -> list[str]:
    """The texts of a claim; dots lead into objects, as in `realm_access.roles`.

    An address of mail that the provider has not verified is not believed.
    """
    if name == "email" and claims.get("email_verified") not in (True, "true"):
        return []
    found: Any = claims
    if name in claims:
        found = claims[name]
    else:
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    items = found if isinstance(found, (list, tuple)) else [found]
    return [_text(item) for item in items if isinstance(item, (str, int)) and item != ""]


def _text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fitting(claims: Claims, patterns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for claim, wanted in patterns.items():
        for value in values(claims, claim):
            if any(fnmatchcase(value, pattern) for pattern in wanted):
                yield value


def _bound(templates: Mapping[str, Any], value: str, username: str) -> tuple[Binding, ...]:
    found = {}
    for arn, roles in templates.items():
        # A group that is called `*` must not become a pattern.
        if (VALUE in arn and not _is_name(value)) or (USERNAME in arn and not _is_name(username)):
            continue
        found[_filled(arn, value, username)] = roles
    return parse_bindings(found)


def _is_name(text: str) -> bool:
    try:
        check_name("namespace", text)
    except InvalidInput:
        return False
    return True


def _filled(arn: str, value: str, username: str) -> str:
    return arn.replace(VALUE, value).replace(USERNAME, username)


def _templates(bindings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for claim, patterns in bindings.items():
        if not isinstance(patterns, Mapping) or not all(isinstance(each, Mapping) for each in patterns.values()):
            raise InvalidInput(f'{claim!r} needs patterns with bindings, such as {{"staff": {{"team/*": ["viewer"]}}}}')
        yield from patterns.values()


def principal_name(username: str, provider: str) -> str:
    """What audit columns call the person; never the name of a principal that is no person."""
    return f"{username}@{provider}" if username in RESERVED or ":" in username else username


def namespace_for(username: str) -> str:
    """The namespace of one's own that fits the name; empty where none does."""
    made = re.sub(r"[^A-Za-z0-9._+-]", "-", username).lstrip("._+-")[:MAX_NAME]
    made = re.sub(r"-(?=-x)", "", made)
    return made if _is_name(made) else ""
