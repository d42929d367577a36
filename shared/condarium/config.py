"""The one register of all `CONDARIUM_*` names, and how a process turns them into its frozen settings.

A service declares a frozen dataclass whose fields are register names in lower case without the prefix
(`database_url` is `CONDARIUM_DATABASE_URL`); `load` fills it. A name that is in the environment and not in the
register stops the start, whichever service reads it: a typo is never silently ignored.
"""

import dataclasses
import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from condarium.errors import ConfigError
from condarium.register import REGISTER as _NAMES

PREFIX = "CONDARIUM_"
T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One name: `parse` raises ValueError with what is allowed; `default` is the text that stands when it is unset."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    description: str
    secret: bool = False


def text(value: str) -> str:
    return value


def word(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"a whole number from {low} to {high}") from None
        if not low <= number <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return number

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            result = float(value)
        except ValueError:
            raise ValueError(f"a number from {low:g} to {high:g}") from None
        if not low <= result <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return result

    return parse


def boolean(value: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.lower() not in known:
        raise ValueError("true or false")
    return known[value.lower()]


def url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if urlsplit(value).scheme not in schemes:
            raise ValueError(f"an address that starts with {' or '.join(s + '://' for s in schemes)}")
        return value.rstrip("/") if "?" not in value else value

    return parse


def path(value: str) -> Path:
    if not value.startswith("/"):
        raise ValueError("an absolute path")
    return Path(value)


def words(value: str) -> tuple[str, ...]:
    """A comma-separated list, or a JSON list of strings."""
    if value.strip().startswith("["):
        found = _json(value)
        if not all(isinstance(item, str) for item in found):
            raise ValueError("a list of strings")
        return tuple(found)
    return tuple(item.strip() for item in value.split(",") if item.strip())


def mapping(value: str) -> dict[str, Any]:
    found = _json(value)
    if not isinstance(found, dict):
        raise ValueError('a JSON object, such as {"name": "value"}')
    return found


def lists(value: str) -> dict[str, tuple[str, ...]]:
    """A JSON object whose values are a string or a list of strings."""
    result: dict[str, tuple[str, ...]] = {}
    for key, item in mapping(value).items():
        items = [item] if isinstance(item, str) else item
        if not isinstance(items, list) or not all(isinstance(i, str) for i in items):
            raise ValueError(
                'a JSON object of lists of strings, such as {"conda-forge": ["http://mirror/conda-forge"]}'
            )
        result[key] = tuple(items)
    return result


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"JSON ({error})") from None


def is_loopback(bind: str) -> bool:
    """Whether only this machine reaches what listens on the address."""
    try:
        return ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


_PARSERS: dict[str, Callable[..., Any]] = {
    "text": text,
    "boolean": boolean,
    "path": path,
    "words": words,
    "mapping": mapping,
    "lists": lists,
}
_FACTORIES: dict[str, Callable[..., Any]] = {"integer": integer, "number": number, "url": url, "word": word}


def _build() -> dict[str, Setting]:
    register: dict[str, Setting] = {}
    for name, kind, default, description in _NAMES:
        secret = isinstance(kind, tuple) and kind[0] == "secret"
        plain = kind[1] if secret else kind
        parse = _PARSERS[plain] if isinstance(plain, str) else _FACTORIES[plain[0]](*plain[1:])
        register[PREFIX + name] = Setting(PREFIX + name, parse, default, description, secret)
    return register


REGISTER: dict[str, Setting] = _build()


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """The frozen settings object `cls` out of `environ`.

    Raises ConfigError that names the variable, what was found (not for secrets) and what is allowed.
    """
    check_names(environ)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        setting = REGISTER[PREFIX + item.name.upper()]
        optional = item.default is not dataclasses.MISSING and item.default is None
        value = read(setting, environ, optional=optional)
        values[item.name] = value
    return cls(**values)


def read(setting: Setting, environ: Mapping[str, str], *, optional: bool = False) -> Any:
    """One parsed value; an empty variable counts as unset."""
    found = environ.get(setting.name) or setting.default
    if found is None:
        if optional:
            return None
        raise ConfigError(f"{setting.name} is not set: {setting.description}")
    try:
        return setting.parse(found)
    except ValueError as error:
        shown = "its value" if setting.secret else repr(found)
        raise ConfigError(
            f"{setting.name}: {shown} is not allowed; expected {error}; it is {setting.description}"
        ) from None


def check_names(environ: Mapping[str, str]) -> None:
    """Raises ConfigError for a CONDARIUM_* variable that no service knows."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in REGISTER:
            near = difflib.get_close_matches(name, REGISTER, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; `condarium check-config --list` prints the known ones"
            raise ConfigError(f"{name} is not a setting of Condarium{hint}")


def check_all(environ: Mapping[str, str]) -> None:
    """Parses every variable that is set, for `condarium check-config`; raises ConfigError on the first fault."""
    check_names(environ)
    for setting in REGISTER.values():
        read(setting, environ, optional=True)
