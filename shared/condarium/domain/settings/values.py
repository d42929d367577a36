"""What a setting may hold: each kind is checked and brought into its one normal form, as JSON."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from condarium.domain.artifact import ArtifactType
from condarium.domain.credentials import has_credential, redact
from condarium.domain.image.options import OUR_LABELS
from condarium.domain.settings.keys import Key, Kind
from condarium.domain.specification.channels import PLATFORMS, check_channel
from condarium.domain.specification.pip import parse_requirement
from condarium.errors import InvalidInput, SpecificationError

CheckMatchSpec = Callable[[str], None]

MAX_ITEMS = 256
MAX_TEXT = 2048
MAX_COUNT = 2**60
MAX_SECONDS = 3600

#: `name=version=build`, version and build optional, as in `conda info`
_VIRTUAL = re.compile(
    r"(__[a-z0-9_][a-z0-9_.-]{0,63})(?:=((?:[0-9A-Za-z]+(?:[._][0-9A-Za-z]+){0,10})?)(?:=([A-Za-z0-9_.+-]{0,64}))?)?\Z"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_ONE_USER = r"(?:[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})"
_USER = re.compile(rf"{_ONE_USER}(?::{_ONE_USER})?\Z")
_DIRECTORY = re.compile(r"(?:/[A-Za-z0-9_@+.~-]+)+\Z|/\Z")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?\Z")
_MODE = re.compile(r"[0-7]{3,4}\Z")


class _Wrong(Exception):
    """What is allowed instead."""


def check_value(name: str, key: Key, value: Any, *, check_match_spec: CheckMatchSpec) -> Any:
    """`value` as it is stored. Raises InvalidInput that names the key, what was found and what is allowed."""
    try:
        return _CHECKS[key.kind](value, check_match_spec)
    except _Wrong as wrong:
        raise InvalidInput(f"Invalid value for setting {name}: {_shown(value)}; allowed is {wrong}") from None
    except SpecificationError as error:
        reason = str(error).split(": ", 1)[-1]
        raise InvalidInput(f"Invalid value for setting {name}: {reason}") from None


def _shown(value: Any) -> str:
    text = redact(repr(value))
    return f"found {text if len(text) <= 120 else text[:117] + '...'}"


def _text(value: Any, _: CheckMatchSpec) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or "\0" in value:
        raise _Wrong(f"text of at most {MAX_TEXT} characters")
    return value.strip()


def _count(value: Any, _: CheckMatchSpec) -> int:
    # true is no number here
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise _Wrong("a whole number from 0, such as 5368709120")
    return value


def _seconds(value: Any, _: CheckMatchSpec) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MAX_SECONDS:
        raise _Wrong(f"seconds from 1 to {MAX_SECONDS}")
    return int(value) if value == int(value) else value


def _boolean(value: Any, _: CheckMatchSpec) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _mode(value: Any, _: CheckMatchSpec) -> str:
    if not isinstance(value, str) or not _MODE.match(value):
        raise _Wrong("three octal digits as text, such as '755'")
    return value


def _url(value: Any, check: CheckMatchSpec) -> str:
    text = _text(value, check)
    if has_credential(text):
        raise _Wrong("an address without a credential; credentials are kept apart from settings")
    try:
        parts = urlsplit(text)
        readable = parts.port != 0
    except ValueError:
        readable = False
    if not readable or parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.scheme == "file"):
        raise _Wrong("an address that begins with https:// or http://")
    if parts.query or parts.fragment:
        raise _Wrong("an address without ? and #")
    return text.rstrip("/")


def _items(value: Any, what: str) -> list[str]:
    """The texts of a list, each once, in order."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise _Wrong(what)
    if len(value) > MAX_ITEMS:
        raise _Wrong(f"at most {MAX_ITEMS} entries")
    if any(not item.strip() or len(item) > MAX_TEXT or "\0" in item for item in value):
        raise _Wrong(f"{what}; no entry is empty or longer than {MAX_TEXT} characters")
    return list(dict.fromkeys(item.strip() for item in value))


def _channels(value: Any, _: CheckMatchSpec) -> list[str]:
    items = _items(value, 'a list of channels such as ["conda-forge"]')
    # Only an administrator reaches this: directories of the builders are theirs to name.
    return list(dict.fromkeys(check_channel(item, 0, "channels", local=True) for item in items))


def _packages(value: Any, check: CheckMatchSpec) -> list[str]:
    items = _items(value, 'a list of match specs such as ["python >=3.11", "ipykernel"]')
    for item in items:
        if has_credential(item):
            raise _Wrong("match specs without a credential; credentials are kept apart from settings")
        try:
            check(item)
        except Exception as error:
            raise _Wrong(f"a list of match specs: {' '.join(str(error).split())[:500]}") from None
    return items


def _requirements(value: Any, _: CheckMatchSpec) -> list[str]:
    items = _items(value, 'a list of pip requirements such as ["flask >=3"]')
    return list(dict.fromkeys(parse_requirement(item, 0) for item in items))


def _platforms(value: Any, _: CheckMatchSpec) -> list[str]:
    items = _known(value, PLATFORMS, "platforms")
    if not items:
        raise _Wrong(f"at least one of the platforms {', '.join(PLATFORMS)}")
    return items


def _indexed_platforms(value: Any, _: CheckMatchSpec) -> list[str]:
    return _known(value, (*PLATFORMS, "noarch"), "platforms")


def _artifacts(value: Any, _: CheckMatchSpec) -> list[str]:
    return _known(value, tuple(kind.value for kind in ArtifactType), "artifacts")


def _known(value: Any, known: Iterable[str], what: str) -> list[str]:
    allowed = tuple(known)
    items = _items(value, f"a list of {what} out of {', '.join(allowed)}")
    if any(item not in allowed for item in items):
        raise _Wrong(f"a list of {what} out of {', '.join(allowed)}")
    return items


def _name(value: Any, _: CheckMatchSpec) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise _Wrong("a name of at most 64 letters, digits, dots, dashes and underscores")
    return value


def _user(value: Any, _: CheckMatchSpec) -> str:
    if not isinstance(value, str) or not _USER.match(value):
        raise _Wrong("a user, or a user and a group, as names or numbers, such as '1000:1000'")
    return value


def _directory(value: Any, _: CheckMatchSpec) -> str:
    is_path = isinstance(value, str) and len(value) <= MAX_TEXT and _DIRECTORY.match(value)
    if not is_path or not {".", ".."}.isdisjoint(value.split("/")):
        raise _Wrong("an absolute path such as '/srv/app', of letters, digits and any of _ @ + . ~ -, without . and ..")
    return str(value)


def _labels(value: Any, _: CheckMatchSpec) -> dict[str, str]:
    form = "an object of texts such as {'org.example.team': 'blue'}"
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise _Wrong(form)
    if len(value) > MAX_ITEMS or any(len(text) > MAX_TEXT or "\0" in text for text in value.values()):
        raise _Wrong(f"{form}; at most {MAX_ITEMS} labels of at most {MAX_TEXT} characters")
    for key in value:
        if not _LABEL.match(key):
            raise _Wrong(f"{form}; {key[:80]!r} is no name of a label: letters, digits, and . _ / - between them")
        if key.startswith(OUR_LABELS):
            raise _Wrong(f"{form}; names that begin with {OUR_LABELS!r} are Condarium's own")
    return dict(sorted(value.items()))


def _virtual_packages(value: Any, _: CheckMatchSpec) -> dict[str, list[str]]:
    form = "an object of lists by platform, such as {'linux-64': ['__cuda=12.4', '__glibc=2.28']}"
    if not isinstance(value, Mapping) or any(platform not in PLATFORMS for platform in value):
        raise _Wrong(f"{form}, with platforms out of {', '.join(PLATFORMS)}")
    return {platform: sorted(_virtual(texts, form)) for platform, texts in sorted(value.items()) if texts}


def _virtual(texts: Any, form: str) -> Iterable[str]:
    found: dict[str, str] = {}
    for text in _items(texts, form):
        match = _VIRTUAL.match(text)
        if match is None:
            raise _Wrong(f"{form}; {text[:80]!r} is no virtual package")
        name, version, build = match[1], match[2] or "0", match[3] or "0"
        if name in found:
            raise _Wrong(f"each virtual package once; {name} is there twice")
        found[name] = f"{name}={version}={build}"
    return found.values()


_CHECKS: Mapping[Kind, Callable[[Any, CheckMatchSpec], Any]] = {
    Kind.TEXT: _text,
    Kind.COUNT: _count,
    Kind.LIMIT: _count,
    Kind.SECONDS: _seconds,
    Kind.BOOLEAN: _boolean,
    Kind.MODE: _mode,
    Kind.URL: _url,
    Kind.CHANNELS: _channels,
    Kind.PACKAGES: _packages,
    Kind.REQUIREMENTS: _requirements,
    Kind.PLATFORMS: _platforms,
    Kind.INDEXED_PLATFORMS: _indexed_platforms,
    Kind.ARTIFACTS: _artifacts,
    Kind.NAME: _name,
    Kind.USER: _user,
    Kind.DIRECTORY: _directory,
    Kind.LABELS: _labels,
    Kind.VIRTUAL_PACKAGES: _virtual_packages,
}
