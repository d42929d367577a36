"""Repositories in paths: `namespace/environment`, or `environment` alone for the default namespace."""

import re
from dataclasses import dataclass

from condarium.domain import on_demand
from condarium.domain.naming import decode_oci, encode_oci
from condarium.domain.on_demand import Asked
from condarium.errors import InvalidInput
from services.registry.faults import NameInvalid, NameUnknown

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_LONGEST = 255


@dataclass(frozen=True)
class Repository:
    """What a path names; `text` as the client wrote it. `asked` is there for an image asked for by its packages."""

    namespace: str
    environment: str
    text: str
    asked: Asked | None = None

    @property
    def scope(self) -> str:
        return f"repository:{self.text}:pull"

    @property
    def arn(self) -> str:
        """As the audit log names it."""
        return f"{self.namespace}/{self.environment}"


def parse_repository(text: str, default_namespace: str) -> Repository:
    """Raises NameInvalid for what OCI does not allow, NameUnknown for what cannot name an environment."""
    parts = text.split("/")
    if len(text) > _LONGEST or not all(_COMPONENT.match(part) for part in parts):
        raise NameInvalid(
            f"{text[:80]!r} is no repository: lower-case letters, digits, and single . _ or dashes between them; "
            "other characters of a name are written --xHH"
        )
    made = parts[0] == on_demand.NAMESPACE and len(parts) == 2 and on_demand.is_environment(decode_oci(parts[1]) or "")
    if parts[0] in on_demand.PREFIXES and not made:
        try:
            asked = on_demand.parse(parts[1:])
        except InvalidInput as error:
            raise NameInvalid(str(error)) from None
        return Repository(on_demand.NAMESPACE, asked.environment, text, asked)
    if len(parts) > 2:
        raise NameUnknown(f"no environment is called {text}: use namespace/environment")
    names = [decode_oci(part) for part in parts]
    if len(names) == 1:
        names.insert(0, default_namespace)
    namespace, environment = names
    if namespace is None or environment is None:
        raise NameUnknown(f"no environment is called {text}")
    return Repository(namespace, environment, text)


def repository_path(namespace: str, environment: str) -> str:
    """The repository of an environment, namespace included."""
    return f"{encode_oci(namespace)}/{encode_oci(environment)}"
