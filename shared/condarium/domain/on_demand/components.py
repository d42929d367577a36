"""Components of an image's name as match specs: `numpy.ge.2.lt.3` is `numpy >=2,<3`."""

import re
from collections.abc import Sequence

from condarium.domain.naming import unescape_oci
from condarium.errors import InvalidInput

LONGEST_NAME = 128
LONGEST_VERSION = 64
MOST_BOUNDS = 8

#: as in match specs; one `=` takes 3.11.7 for 3.11, as in environment files
_OPERATORS = {"eq": "=", "ne": "!=", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_WORDS = "|".join(_OPERATORS)
_OPERATOR = re.compile(rf"\.({_WORDS})\.")
#: what other languages call them
_MEANT = {"gte": "ge", "geq": "ge", "lte": "le", "leq": "le", "neq": "ne", "is": "eq", "equal": "eq", "equals": "eq"}
_MISSPELT = re.compile(rf"\.({'|'.join(_MEANT)})\.[0-9]")
_DANGLING = re.compile(rf"(?:^|\.)(?:{_WORDS})\Z")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*\Z")
#: an epoch (1!), letters, a local part (+cuda), and * at the end
_VERSION = re.compile(r"(?:[0-9]+!)?[A-Za-z0-9_]+(?:[.+-][A-Za-z0-9_]+)*(?:\.?\*)?\Z")
_MEANINGS = ", ".join(f".{word}. is {sign}" for word, sign in _OPERATORS.items())


def match_specs(components: Sequence[str]) -> tuple[str, ...]:
    """One match spec for each package, sorted, with all bounds that any of the components has for it.

    Raises InvalidInput that says which component is wrong and what is allowed.
    """
    bounds: dict[str, set[str]] = {}
    for component in components:
        name, found = _read(component)
        bounds.setdefault(name, set()).update(found)
    return tuple(sorted(" ".join([name, ",".join(sorted(found))]).strip() for name, found in bounds.items()))


def _read(component: str) -> tuple[str, list[str]]:
    text = unescape_oci(component)
    name, *rest = _OPERATOR.split(text)
    # conda's names know no case; versions do
    name = name.lower()
    bounds = list(zip(rest[::2], rest[1::2], strict=True))
    if _DANGLING.search(rest[-1] if rest else name):
        raise _wrong(component, "a version is missing behind its last bound")
    if misspelt := _MISSPELT.search(text):
        raise _wrong(component, f"there is no bound .{misspelt[1]}., did you mean .{_MEANT[misspelt[1]]}.")
    if not _NAME.match(name) or len(name) > LONGEST_NAME:
        raise _wrong(component, "it does not begin with a package's name")
    if len(bounds) > MOST_BOUNDS:
        raise _wrong(component, f"it has {len(bounds)} bounds, at most {MOST_BOUNDS} are allowed")
    for _, version in bounds:
        if not _VERSION.match(version) or len(version) > LONGEST_VERSION:
            raise _wrong(component, f"{version[:80]!r} is no version")
    return name, [f"{_OPERATORS[word]}{version}" for word, version in bounds]


def _wrong(component: str, why: str) -> InvalidInput:
    shown = component if len(component) <= 80 else f"{component[:77]}..."
    return InvalidInput(
        f"{shown!r} is no package: {why}. Write a name and bounds, such as numpy.ge.2.lt.3 or python.eq.3.11 "
        f"({_MEANINGS}); what an image's name may not hold is written --xHH, as in openssl.eq.1--x211.1"
    )
