"""Images asked for by their packages: `dynamic/python.eq.3.11/numpy.ge.2` is an environment nobody wrote down."""

import hashlib
import re
from collections.abc import Sequence

from condarium.domain.naming import decode_oci
from condarium.errors import InvalidInput

#: where such environments live; reserved, so that nobody else makes any there
NAMESPACE = "dynamic"
#: what repositories begin with; the second is conda-store's
PREFIXES = (NAMESPACE, "conda-store-dynamic")

MOST_PACKAGES = 50

#: as in match specs; one `=` takes 3.11.7 for 3.11, as in environment files
_OPERATORS = {"eq": "=", "ne": "!=", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_OPERATOR = re.compile(rf"\.({'|'.join(_OPERATORS)})\.")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*\Z")
_VERSION = re.compile(r"[A-Za-z0-9_.+!*-]+\Z")


def parse_packages(components: Sequence[str]) -> tuple[str, ...]:
    """The match specs of a repository's components, sorted: their order in the name does not matter.

    Raises InvalidInput that says which component is wrong and what is allowed.
    """
    if not components:
        raise InvalidInput(f"name packages: {NAMESPACE}/python.eq.3.11/numpy")
    if len(components) > MOST_PACKAGES:
        raise InvalidInput(f"{len(components)} packages are too many for an image's name; at most {MOST_PACKAGES}")
    return tuple(sorted({_match_spec(component) for component in components}))


def _match_spec(component: str) -> str:
    text = decode_oci(component)
    name, *rest = _OPERATOR.split(text or "")
    bounds = list(zip(rest[::2], rest[1::2], strict=True))
    if not _NAME.match(name) or not all(_VERSION.match(version) for _, version in bounds):
        raise InvalidInput(
            f"{component!r} is no package: a name, and bounds such as .ge.2 or .eq.3.11 "
            f"({', '.join(f'.{word}. is {sign}' for word, sign in _OPERATORS.items())})"
        )
    return " ".join([name, ",".join(f"{_OPERATORS[word]}{version}" for word, version in bounds)]).strip()


def environment_name(packages: Sequence[str]) -> str:
    """The name of the environment of these packages: readable, and different for different ones."""
    readable = "-".join(re.split(r"[ =<>!,]", package)[0] for package in packages)[:40]
    return f"{readable.strip('-._')}-{hashlib.sha256(chr(10).join(packages).encode()).hexdigest()[:12]}"
