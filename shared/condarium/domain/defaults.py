"""What everybody may do here without being given it: bindings for all, for those who have logged in, service tokens."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from condarium.domain.access import ADMIN, ANONYMOUS, Binding, Principal, parse_bindings
from condarium.domain.credentials import show
from condarium.domain.naming import check_name
from condarium.errors import ConfigError, InvalidInput

#: in the ARNs of settings: the installation's default namespace, and the namespace of whoever asks
DEFAULT, PRIMARY = "{default}", "{primary}"
_SERVICE_FIELDS = {"name", "primary_namespace", "role_bindings"}


@dataclass(frozen=True)
class Defaults:
    """The access settings of an installation, checked. Raises ConfigError that names the setting."""

    admin_token: str = field(repr=False)
    default_namespace: str = "default"
    anonymous: Mapping[str, Any] = field(default_factory=lambda: {f"{DEFAULT}/*": ["viewer"]})
    authenticated: Mapping[str, Any] = field(
        default_factory=lambda: {f"{DEFAULT}/*": ["viewer"], f"{PRIMARY}/*": ["admin"]}
    )
    service_tokens: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _services: Mapping[bytes, Principal] = field(init=False, repr=False, default_factory=dict)
    #: whoever shows no credential, or a wrong one
    anybody: Principal = field(init=False, repr=False, default=ANONYMOUS)

    def __post_init__(self) -> None:
        public = _checked("CONDARIUM_ANONYMOUS_BINDINGS", lambda: self._bindings(self.anonymous, ""))
        object.__setattr__(self, "anybody", replace(ANONYMOUS, bindings=public))
        _checked("CONDARIUM_AUTHENTICATED_BINDINGS", lambda: self._bindings(self.authenticated, "somebody"))
        services = {}
        for token, content in self.service_tokens.items():
            # The message must not show the token.
            services[digest(token)] = _checked("CONDARIUM_SERVICE_TOKENS", lambda it=content: _service(it))
            if len(token) < 8:
                raise ConfigError("CONDARIUM_SERVICE_TOKENS: a token must have 8 characters or more")
        object.__setattr__(self, "_services", services)

    def recognise(self, token: str) -> Principal | None:
        """Whose token of the settings it is; comparisons take constant time. Not yet `standing`."""
        if hmac.compare_digest(token.encode(errors="surrogatepass"), self.admin_token.encode()):
            return ADMIN
        return self._services.get(digest(token))

    def owner(self, name: str) -> Principal | None:
        """The holder of a token of the settings, by name: what it has made is worth no more than it is."""
        if name == ADMIN.name:
            return ADMIN
        return next((each for each in self._services.values() if each.name == name), None)

    def standing(self, principal: Principal, mapped: Iterable[Binding] = ()) -> Principal:
        """The principal with all that it may do: its own bindings and, where it inherits, the defaults and `mapped`.

        `mapped` is what the database's role mappings give to its primary namespace. What is open to everybody is
        added in any case.
        """
        bindings = {*principal.bindings, *self.anybody.bindings}
        if principal.is_authenticated and principal.inherits:
            bindings |= {*self._bindings(self.authenticated, principal.primary_namespace), *mapped}
        return replace(principal, bindings=tuple(sorted(bindings)))

    def _bindings(self, templates: Mapping[str, Any], primary: str) -> tuple[Binding, ...]:
        found = {}
        for template, roles in templates.items():
            if PRIMARY in template and not self._is_own(primary):
                continue
            found[template.replace(DEFAULT, self.default_namespace).replace(PRIMARY, primary)] = roles
        return parse_bindings(found)

    def _is_own(self, primary: str) -> bool:
        """Whether it can be one's own: the default namespace is everybody's, and a pattern would be all of them."""
        if primary in ("", self.default_namespace):
            return False
        try:
            check_name("namespace", primary)
        except InvalidInput:
            return False
        return True


def digest(token: str) -> bytes:
    """What a token is remembered by, so that no table in memory holds the token itself: its SHA-256, 32 bytes."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _checked(setting: str, make: Any) -> Any:
    try:
        return make()
    except InvalidInput as error:
        raise ConfigError(f"{setting}: {error}") from None


def _service(content: Any) -> Principal:
    if not isinstance(content, Mapping) or not set(content) <= _SERVICE_FIELDS or not content.get("name"):
        raise InvalidInput(f"each token needs an object with a name; its keys are {', '.join(sorted(_SERVICE_FIELDS))}")
    name, primary = content["name"], content.get("primary_namespace", "")
    bindings = content.get("role_bindings", {})
    if not isinstance(name, str) or not isinstance(primary, str) or not isinstance(bindings, Mapping):
        raise InvalidInput(f"the token of {show(name)}: name and primary_namespace are texts, role_bindings an object")
    if primary:
        check_name("namespace", primary)
    return Principal(f"service:{name}", parse_bindings(bindings), is_authenticated=True, primary_namespace=primary)
