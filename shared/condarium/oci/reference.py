"""Names of images in other registries, as people write them."""

import re
from dataclasses import dataclass

from condarium.errors import InvalidInput

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_HOST = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?\Z")
_LONGEST = 255
#: the name that people write, and the host that answers for it
_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"


@dataclass(frozen=True)
class Reference:
    """`url` is the registry's (scheme and host), `tag` and `digest` (`sha256:<hex>`) what of `repository` is meant."""

    url: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def target(self) -> str:
        """What is asked for: the digest where there is one."""
        return self.digest or self.tag or "latest"

    @property
    def address(self) -> str:
        """What a registry's credential is looked up by."""
        return f"{self.url}/{self.repository}"

    @property
    def name(self) -> str:
        """As people write it, without the scheme."""
        host = self.url.partition("://")[2]
        tag = f":{self.tag}" if self.tag else ""
        return f"{_HUB if host == _HUB_HOST else host}/{self.repository}{tag}" + (
            f"@{self.digest}" if self.digest else ""
        )

    def __str__(self) -> str:
        return self.name


def parse_reference(text: str) -> Reference:
    """`[http://|https://]host[:port]/repository[:tag][@sha256:...]`; https where no scheme is named.

    Raises InvalidInput.
    """
    scheme, _, rest = text.rpartition("://")
    host, _, path = rest.partition("/")
    name, _, digest = path.partition("@")
    repository, _, tag = name.partition(":")
    shown = f"{text[:120]!r} is no image of a registry; write host/repository:tag or host/repository@sha256:<64 digits>"
    if scheme not in ("", "http", "https") or not _HOST.match(host):
        raise InvalidInput(shown)
    if not (host == "localhost" or set(host) & set(".:")):
        raise InvalidInput(f"{shown}; the host of the registry must be named: docker.io/library/{text[:80]}, say")
    if len(repository) > _LONGEST or not all(_COMPONENT.match(part) for part in repository.split("/")):
        raise InvalidInput(f"{shown}; {repository[:80]!r} is no repository")
    if (":" in name and not _TAG.match(tag)) or ("@" in path and not _DIGEST.match(digest)):
        raise InvalidInput(shown)
    if host.lower() == _HUB:
        host = _HUB_HOST
        repository = repository if "/" in repository else f"library/{repository}"
    return Reference(f"{scheme or 'https'}://{host.lower()}", repository, tag or None, digest or None)
