"""What a registry answers to a stranger: `WWW-Authenticate`, read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_NEXT = re.compile(
    r"""\s*(?:,\s*)?(?:
        (?P<name>[A-Za-z0-9_-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))
        |(?P<scheme>[A-Za-z][A-Za-z0-9_-]*)(?=\s|,|$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Challenge:
    """`scheme` in lower case, such as bearer or basic; `parameters` by their names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all header lines, in order; what cannot be read ends its line."""
    found: list[Challenge] = []
    for header in headers:
        position = 0
        parameters: dict[str, str] | None = None
        while match := _NEXT.match(header, position):
            position = match.end()
            if match["scheme"]:
                parameters = {}
                found.append(Challenge(match["scheme"].lower(), parameters))
            elif parameters is not None:
                quoted = match["quoted"]
                value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters.setdefault(match["name"].lower(), value)
    return found
