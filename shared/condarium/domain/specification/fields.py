"""The fields of an environment.yml, one function each: a node in, a checked value out, or a SpecificationError."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from condarium.domain import naming
from condarium.domain.credentials import has_credential, show
from condarium.domain.specification.channels import (
    CREDENTIAL,
    PLATFORMS,
    bracketed_channel_of,
    channel_of,
    check_channel,
)
from condarium.domain.specification.nodes import Entries, Node, Scalar, describe, fault, list_of, text_of
from condarium.domain.specification.pip import parse_requirement
from condarium.errors import InvalidInput

MAX_MATCH_SPEC = 2048
MAX_DESCRIPTION = 64 * 1024

_COMPARISON = re.compile(r"\s*(>=|<=|!=|==|~=|>|<|,|\|)\s*")
_PATH = re.compile(r"[/~\\]|\.{1,2}/")

CheckMatchSpec = Callable[[str], None]


@dataclass(frozen=True)
class Dependencies:
    """Match specs and PEP 508 requirements, in the user's order."""

    conda: tuple[str, ...]
    pip: tuple[str, ...]


def parse_name(node: Node | None, default: str | None) -> str:
    """The name of the environment; `default` where the file has none."""
    line = node.line if node else None
    if _is_absent(node):
        if not default:
            raise fault("it is missing; write a line such as `name: my-env`", line=line, field="name")
        text = default
    else:
        assert node is not None
        text = text_of(node, "name", "a name such as my-env")
    try:
        return naming.check_name("environment", text)
    except InvalidInput as error:
        raise fault(str(error), line=line, field="name") from None


def parse_description(node: Node | None, default: str) -> str:
    """Free text; it is part of the specification, not of what is built."""
    if node is None or _is_absent(node):
        return default
    if not isinstance(node, Scalar):
        raise fault(f"found {describe(node)}; allowed is text", line=node.line, field="description")
    _limit(node.text, MAX_DESCRIPTION, node.line, "description")
    return node.text


def parse_dependencies(
    node: Node | None, check_match_spec: CheckMatchSpec, *, local: bool, may_be_empty: bool = False
) -> Dependencies:
    """The match specs, judged by `check_match_spec`, and the pip section."""
    conda: list[str] = []
    pip: tuple[str, ...] | None = None
    line = node.line if node else None
    for item in list_of(node, "dependencies"):
        if isinstance(item, Entries):
            if pip is not None and "pip" in item.entries:
                raise fault("a second pip section; put its lines into the first", line=item.line, field="dependencies")
            pip = _pip_section(item)
        else:
            conda.append(_match_spec(item, check_match_spec, local=local))
    found = Dependencies(tuple(conda), pip or ())
    if not may_be_empty:
        check_dependencies(found.conda, found.pip, line=line)
    return found


def check_dependencies(conda: Sequence[str], pip: Sequence[str], *, line: int | None = None) -> None:
    """Raises SpecificationError when nothing is asked of conda."""
    if not conda and pip:
        raise fault("a pip section alone has no Python; add `- python`", line=line, field="dependencies")
    if not conda:
        raise fault("there are none; write at least one, such as `- python`", line=line, field="dependencies")


def _match_spec(item: Node, check_match_spec: CheckMatchSpec, *, local: bool) -> str:
    field, line = "dependencies", item.line
    text = " ".join(text_of(item, field, "a match spec such as `numpy >=2`, or a `pip:` section").split())
    _limit(text, MAX_MATCH_SPEC, line, field)
    if has_credential(text):
        raise fault(CREDENTIAL, line=line, field=field)
    # Of two, the solver takes the one in brackets.
    named = [channel for channel in (channel_of(text), bracketed_channel_of(text)) if channel is not None]
    for channel in named:
        check_channel(channel, line, field, local=local)
    if not local and ((not named and _PATH.match(text)) or "file:" in text.lower()):
        raise fault(f"{show(text)} is a path, and only you have it; name a package", line=line, field=field)
    try:
        check_match_spec(text)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise fault(reason if len(reason) <= 500 else reason[:497] + "...", line=line, field=field) from None
    return text


def without_spaces(match_spec: str) -> str:
    """The match spec as it is hashed: spaces around comparisons say nothing; bracketed text stays."""
    return match_spec if "[" in match_spec else _COMPARISON.sub(r"\1", match_spec)


def _pip_section(section: Entries) -> tuple[str, ...]:
    for key, line in section.lines.items():
        if key != "pip":
            raise fault(
                f"found a mapping with the key {show(key)}; only `pip:` may be one, a package is written as "
                f"`{show(key)[1:-1]}=VERSION`",
                line=line,
                field="dependencies",
            )
    if not section.entries:
        raise fault("found an empty mapping; only `pip:` may be one", line=section.line, field="dependencies")
    lines: dict[str, None] = {}
    for item in list_of(section.entries["pip"], "pip"):
        text = text_of(item, "pip", "a requirement such as `flask>=3`").strip()
        lines[parse_requirement(text, item.line)] = None
    return tuple(lines)


def parse_platforms(node: Node | None) -> tuple[str, ...]:
    """The platforms in the user's order, each once; none where the default is meant."""
    platforms: dict[str, None] = {}
    for item in list_of(node, "platforms"):
        text = text_of(item, "platforms", "a platform such as linux-64")
        if text not in PLATFORMS:
            raise fault(
                f"{show(text)} is no platform; allowed are {', '.join(PLATFORMS)}", line=item.line, field="platforms"
            )
        platforms[text] = None
    return tuple(platforms)


def _is_absent(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.kind == "null")


def _limit(text: str, most: int, line: int, field: str) -> None:
    if len(text) > most:
        raise fault(f"found {len(text):,} characters; at most {most:,} are allowed", line=line, field=field)
