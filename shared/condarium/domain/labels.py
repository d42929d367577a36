"""Labels: words that people put on builds. Short ones, so that `key-value` is a tag of the build's image."""

import re
from collections.abc import Iterable, Mapping

from condarium.domain.credentials import show
from condarium.errors import InvalidInput

MOST = 32
LONGEST = 63
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")
ALLOWED = f"1 to {LONGEST} of A-Z a-z 0-9 . _ -, the first and the last a letter or digit"


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels, sorted by key.

    Raises:
        InvalidInput: with what was found and what is allowed.
    """
    if len(labels) > MOST:
        raise InvalidInput(f"labels: found {len(labels)}; a build has at most {MOST}")
    for key, value in labels.items():
        if not _WORD.match(key):
            raise InvalidInput(f"labels: {show(key)} is no key; allowed are {ALLOWED}")
        if not _WORD.match(value):
            raise InvalidInput(f"labels.{key}: {show(value)} is no value; allowed are {ALLOWED}")
    return dict(sorted(labels.items()))


def parse_selectors(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `label=` of a list asks for: (`key=value` texts, keys that need only be there).

    Raises:
        InvalidInput: no label could be so.
    """
    pairs: list[str] = []
    keys: list[str] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not _WORD.match(key) or (equals and not _WORD.match(value)):
            raise InvalidInput(f"label: {show(text)} is no label; write key=value, or a key alone")
        (pairs if equals else keys).append(text)
    return tuple(pairs), tuple(keys)


def tag_of(key: str, value: str) -> str:
    """The tag that a label gives the image of its build; never longer than the 128 characters of a tag."""
    return f"{key}-{value}"


def may_be(tag: str) -> list[tuple[str, str]]:
    """The labels whose tag that is: keys and values may have dashes of their own."""
    splits = ((tag[:place], tag[place + 1 :]) for place, letter in enumerate(tag) if letter == "-")
    return [(key, value) for key, value in splits if _WORD.match(key) and _WORD.match(value)]
