"""What opens private channels, package indexes and registries: kinds, the URLs they are for, and what they hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from condarium.domain.credentials import has_credential
from condarium.errors import InvalidInput

#: what PyPI and those like it want as the user of a token
TOKEN_USER = "__token__"
MAX_URL = 2048
MAX_VALUE = 8192


class Use(StrEnum):
    """What a credential is for; credentials of different uses may have the same URL."""

    CHANNEL = "channel"
    INDEX = "index"
    REGISTRY = "registry"


class Kind(StrEnum):
    """How it is shown to the server."""

    BASIC = "basic"
    BEARER = "bearer"
    #: put into the path, as Anaconda's servers want it: https://host/t/TOKEN/channel
    CONDA_TOKEN = "conda_token"
    INDEX_BASIC = "index_basic"
    INDEX_TOKEN = "index_token"
    REGISTRY_BASIC = "registry_basic"
    REGISTRY_TOKEN = "registry_token"

    @property
    def use(self) -> Use:
        word = self.value.partition("_")[0]
        return Use(word) if word in ("index", "registry") else Use.CHANNEL

    @property
    def fields(self) -> tuple[str, ...]:
        """What it holds; all of them are needed."""
        return ("username", "password") if self.value.endswith("basic") else ("token",)


@dataclass(frozen=True)
class RegistryLogin:
    """What is shown to a container registry: `username` is empty for a token that is sent as Bearer."""

    username: str
    password: str


def as_shown(kind: Kind, values: Mapping[str, str]) -> dict[str, str]:
    """As ChannelSettings wants it: {"username", "password"}, {"token"} or {"conda_token"}."""
    match kind:
        case Kind.CONDA_TOKEN:
            return {"conda_token": values["token"]}
        case Kind.INDEX_TOKEN:
            return {"username": TOKEN_USER, "password": values["token"]}
        case _:
            return {name: values[name] for name in kind.fields}


def check_values(kind: Kind, values: Mapping[str, str | None]) -> dict[str, str]:
    """What is kept of it. Raises InvalidInput that never repeats a value."""
    given = {name: value for name, value in values.items() if value is not None}
    for name in kind.fields:
        if not given.get(name):
            raise InvalidInput(f"a credential of kind {kind} needs {' and '.join(kind.fields)}; {name} is missing")
    more = sorted(given.keys() - set(kind.fields))
    if more:
        raise InvalidInput(f"a credential of kind {kind} holds {' and '.join(kind.fields)}, not {', '.join(more)}")
    for name, value in given.items():
        # A line end would be another header; Postgres's text has no NUL.
        if len(value) > MAX_VALUE or not all(character.isprintable() for character in value):
            raise InvalidInput(f"the {name} must be at most {MAX_VALUE} printable characters, without line ends")
        if not value.isascii() and "token" in name:
            raise InvalidInput("the token must be of ASCII characters")
    if ":" in given.get("username", ""):
        raise InvalidInput("the username must not have a colon: Basic authentication cannot send one")
    if kind is Kind.CONDA_TOKEN and not set(given["token"]).isdisjoint("/?#% "):
        raise InvalidInput("the token becomes a part of the path: it must have none of / ? # % and no space")
    return given


def check_url(text: str) -> str:
    """The URL prefix in its one normal form: scheme and host in lower case, no default port, no slash at the end.

    Raises:
        InvalidInput: with what is wrong; a credential in the URL is not repeated.
    """
    allowed = "a prefix is an http(s) URL such as https://conda.example.org/team, without user, ? and #"
    if has_credential(text) or "/t/" in text:
        raise InvalidInput(f"the url has a credential in it (not shown); {allowed}")
    if len(text) > MAX_URL or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise InvalidInput(f"the url is too long or has characters that are not allowed; {allowed}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidInput(f"the url cannot be read; {allowed}") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise InvalidInput(f"the url {text[:80]!r} is none that bytes come from; {allowed}")
    if parts.query or parts.fragment or text.endswith(("?", "#")) or has_dot_parts(parts.path) or "//" in parts.path:
        raise InvalidInput(f"the url {text[:80]!r} is no plain prefix; {allowed}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    scheme = parts.scheme.lower()
    shown = "" if port is None or port == {"http": 80, "https": 443}[scheme] else f":{port}"
    return f"{scheme}://{host}{shown}{parts.path.rstrip('/')}"


def has_dot_parts(path: str) -> bool:
    """Whether servers may take the path for another one than it looks like."""
    parts = path.lower().replace("%2e", ".").split("/")
    return any(part in (".", "..") for part in parts)


def covers(prefix: str, url: str) -> bool:
    """Whether `prefix` is `url` or a whole path above it; scheme, host and port must be the same."""
    prefix = prefix.rstrip("/")
    return (url == prefix or url.startswith(prefix + "/")) and not has_dot_parts(url)
