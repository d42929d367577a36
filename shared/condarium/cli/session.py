"""Which server, which token, which namespace: out of the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from condarium import config
from condarium.client import Client, NotThere
from condarium.errors import InvalidInput


def setting(name: str) -> str | None:
    """A setting of the register, checked; None when it is unset. Raises ConfigError."""
    value = config.read(config.REGISTER[config.PREFIX + name], os.environ, optional=True)
    return None if value is None else str(value)


@contextmanager
def connect() -> Iterator[Client]:
    """A client of the server that CONDARIUM_API_URL names."""
    url = setting("API_URL") or setting("EXTERNAL_URL") or ""
    with Client(url, token=setting("TOKEN") or "") as client:
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


def find_environment(client: Client, namespace: str, name: str) -> dict[str, Any]:
    """The environment as the gateway shows it. Raises NotThere."""
    with naming(f"environment {namespace}/{name}", "env"):
        return client.environment(namespace, name)


def load_build(client: Client, number: int) -> dict[str, Any]:
    """The build as the gateway shows it. Raises NotThere."""
    with naming(f"build {number}", "build"):
        return client.build(number)


def find_build(client: Client, text: str) -> int:
    """The build that `text` means: its id, or the current build of NAME or NAMESPACE/NAME. Raises InvalidInput."""
    if text.isdecimal():
        return int(text)
    namespace, name = split_environment(text)
    current = find_environment(client, namespace, name)["current_build_id"]
    if current is None:
        raise InvalidInput(
            f"{namespace}/{name} has no completed build yet; `condarium build list {namespace}/{name}` shows its builds"
        )
    return int(current)
