"""Which server, which token, which namespace, which build: out of the environment, the login, and what was typed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from condarium import config
from condarium.cli import logins
from condarium.client import Client, NotThere
from condarium.client.models import Build, Environment
from condarium.errors import InvalidInput


def setting(name: str) -> str | None:
    """A setting of the register, checked; None when it is unset. Raises ConfigError."""
    value = config.read(config.REGISTER[config.PREFIX + name], os.environ, optional=True)
    return None if value is None else str(value)


def server() -> str:
    """The gateway's address: CONDARIUM_API_URL, else that of the last login, else the one-machine run's."""
    return setting("API_URL") or logins.default_url() or setting("EXTERNAL_URL") or ""


def token_for(url: str) -> str:
    """CONDARIUM_TOKEN, else what `condarium login` keeps for that server; empty is anonymous."""
    return setting("TOKEN") or logins.token_of(url) or ""


@contextmanager
def connect(**more: Any) -> Iterator[Client]:
    """A client of the server that is meant; `more` are further arguments of it."""
    url = server()
    with Client(url, token=token_for(url), **more) as client:
        yield client


def default_namespace() -> str:
    return setting("NAMESPACE") or setting("DEFAULT_NAMESPACE") or "default"


def split_environment(text: str) -> tuple[str, str]:
    """`namespace/name` or `name`. Raises InvalidInput."""
    namespace, slash, name = text.partition("/")
    if not slash:
        return default_namespace(), text
    if not namespace or not name or "/" in name:
        raise InvalidInput(f"{text!r} is no environment: write NAME or NAMESPACE/NAME")
    return namespace, name


@contextmanager
def naming(what: str, kind: str) -> Iterator[None]:
    """Says in the server's "does not exist" which one was meant. Raises NotThere."""
    try:
        yield
    except NotThere as error:
        raise NotThere(f"{what} does not exist; `condarium {kind} list` shows those you may see", 404) from error


def find_environment(client: Client, namespace: str, name: str) -> Environment:
    """The environment as the gateway shows it. Raises NotThere."""
    with naming(f"environment {namespace}/{name}", "env"):
        return client.environment(namespace, name)


def load_build(client: Client, number: int) -> Build:
    """The build as the gateway shows it. Raises NotThere."""
    with naming(f"build {number}", "build"):
        return client.build(number)


def find_build(client: Client, text: str) -> int:
    """The build that `text` means: its id, or the current build of NAME or NAMESPACE/NAME. Raises InvalidInput."""
    if text.isdecimal():
        return int(text)
    return current_build(client, *split_environment(text))


def current_build(client: Client, namespace: str, name: str) -> int:
    """Raises NotThere, InvalidInput when the environment points nowhere."""
    current = find_environment(client, namespace, name).current_build_id
    if current is None:
        raise InvalidInput(
            f"{namespace}/{name} has no completed build yet; `condarium build list {namespace}/{name}` shows its builds"
        )
    return current


def read_labels(texts: list[str]) -> dict[str, str]:
    """`KEY=VALUE`s as labels. Raises InvalidInput."""
    labels: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise InvalidInput(f"{text!r} is no label: write KEY=VALUE, such as git=3f2a1c9")
        labels[key] = value
    return labels
