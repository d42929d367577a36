"""Patterns of what may be reached: `namespace/environment`, where `*` stands for any text, also for none."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from condarium.domain.credentials import show
from condarium.domain.naming import MAX_NAME
from condarium.errors import InvalidInput

ANY = "*"
_PART = re.compile(r"[A-Za-z0-9._+*-]+\Z")


def matches(pattern: str, text: str) -> bool:
    """Whether `text` fits `pattern`, in time that grows with their lengths only.

    `text` may be a pattern itself: then the answer is whether everything that fits it fits `pattern`, because a `*`
    of the text, which no name holds, can only fall upon a `*`.
    """
    if ANY not in pattern:
        return pattern == text
    first, *middle, last = pattern.split(ANY)
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    start, end = len(first), len(text) - len(last)
    for piece in middle:
        # The leftmost place leaves the most room for what follows: nothing is ever tried twice.
        found = text.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


@dataclass(frozen=True, order=True)
class Arn:
    """A pattern of namespaces and one of environments in them."""

    namespace: str
    environment: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.environment}"

    @cached_property
    def whole_namespaces(self) -> bool:
        """Whether it holds all environments, and with them the namespace itself."""
        return self.environment == ANY

    @property
    def everything(self) -> bool:
        return self.namespace == ANY and self.environment == ANY

    def covers(self, other: "Arn") -> bool:
        """Whether all that `other` holds is held by this one, too."""
        return matches(self.namespace, other.namespace) and matches(self.environment, other.environment)


EVERYTHING = Arn(ANY, ANY)


def parse_arn(text: str) -> Arn:
    """The pattern that is written as `namespace/environment`.

    Raises:
        InvalidInput: with what was found and what is allowed.
    """
    namespace, slash, environment = text.partition("/")
    parts = namespace, environment
    if not slash or not all(_PART.match(part) and len(part) <= 2 * MAX_NAME for part in parts):
        raise InvalidInput(
            f"{show(text)} is no ARN: namespace/environment, each of A-Z a-z 0-9 . _ + - and * for any text, "
            "such as team/* or team/ml-*"
        )
    return Arn(*(re.sub(r"\*+", ANY, part) for part in parts))


def widest(arns: Iterable[Arn]) -> tuple[Arn, ...]:
    """The patterns without those that another one covers, sorted."""
    kept: list[Arn] = []
    for arn in sorted(set(arns)):
        if not any(other.covers(arn) for other in kept):
            kept = [other for other in kept if not arn.covers(other)] + [arn]
    return tuple(sorted(kept))
