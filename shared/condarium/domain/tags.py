"""What a tag of an image means: pure reading of the text, and of what its prefix may stand for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from condarium.domain.labels import may_be
from condarium.domain.naming import BuildKey, decode_tag, parse_build_key

#: what a tag ends with that asks for layers in zstd
ZSTD_SUFFIX = "-zstd"
LONGEST_TAG = 128
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_GENERATION = re.compile(r"g([1-9][0-9]{0,17})\Z")
_HASH = re.compile(r"[0-9a-f]{8,64}\Z")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")
_ANY_DIGEST = re.compile(r"(?:(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128}))\Z")


@dataclass(frozen=True)
class Latest:
    """The environment's current build."""


@dataclass(frozen=True)
class Generation:
    """The environment's build of that number: `g12`."""

    number: int


@dataclass(frozen=True)
class HashPrefix:
    """A lock hash or a specification hash, in full or as a prefix of 8 and more hex digits."""

    digits: str


@dataclass(frozen=True)
class Labelled:
    """A build with one of these labels (key, value): `git-3f2a1c` is the label `git=3f2a1c`."""

    labels: tuple[tuple[str, str], ...]


Tag = Latest | Generation | BuildKey | HashPrefix | Labelled


def parse_tag(text: str) -> Tag | None:
    """What `text` asks for; None for a tag that no image can have.

    A hash of 8 and more digits never reads as a generation (`g` is no hex digit) nor as a build key (dashes).
    """
    if not _TAG.match(text):
        return None
    if text == "latest":
        return Latest()
    generation = _GENERATION.match(text)
    if generation:
        return Generation(int(generation[1]))
    if _HASH.match(text):
        return HashPrefix(text)
    return parse_build_key(decode_tag(text)) or _labelled(text)


def _labelled(text: str) -> Labelled | None:
    labels = may_be(text)
    return Labelled(tuple(labels)) if labels else None


def twin_of(text: str) -> str | None:
    """The tag whose image in zstd `text` asks for: `latest` of `latest-zstd`; None for other tags."""
    plain = text.removesuffix(ZSTD_SUFFIX)
    return plain if plain and plain != text else None


def parse_digest(text: str) -> str | None:
    """The hex digits of a `sha256:` digest; None for anything else."""
    match = _DIGEST.match(text)
    return match[1] if match else None


@dataclass(frozen=True)
class Digest:
    """`algorithm` is sha256 or sha512, `digits` are hex."""

    algorithm: str
    digits: str


def parse_any_digest(text: str) -> Digest | None:
    """A digest by one of the two algorithms of the specification; None for anything else."""
    match = _ANY_DIGEST.match(text)
    return Digest(match[1] or match[3], match[2] or match[4]) if match else None


@dataclass(frozen=True)
class Candidate:
    """A hash that a prefix may stand for; `kind` is lock or specification."""

    kind: str
    sha256: str


def choose(digits: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that the digits stand for, each once, in order: one is an answer, several are ambiguous."""
    return sorted(
        {candidate for candidate in candidates if candidate.sha256.startswith(digits)},
        key=lambda candidate: (candidate.kind, candidate.sha256),
    )


def ambiguity(digits: str, candidates: Iterable[Candidate]) -> str:
    """The sentence for several candidates, with the shortest tags that would do."""
    found = list(candidates)
    length = next(
        (size for size in range(len(digits), 65) if len({item.sha256[:size] for item in found}) == len(found)), 64
    )
    listed = ", ".join(f"{item.sha256[:length]} ({item.kind})" for item in found)
    return f"the tag {digits} is ambiguous; it may stand for {listed}"
