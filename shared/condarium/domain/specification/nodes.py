"""What the fields of an environment.yml are read from: values that know their line, and the one form of a fault."""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from condarium.domain.credentials import redact, show
from condarium.errors import SpecificationError

# YAML 1.2's core schema: `yes` and `1:30` are words.
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)

ScalarKind = Literal["null", "bool", "int", "float", "str"]


class Size(NamedTuple):
    """Of a value with all that is in it, aliases counted in full."""

    values: int
    characters: int

    def __add__(self, other: object) -> "Size":
        assert isinstance(other, Size)
        return Size(self.values + other.values, self.characters + other.characters)


ALONE = Size(1, 0)


@dataclass(frozen=True)
class Scalar:
    """A single value; `quoted` (or tagged !!str) means it is text whatever it looks like."""

    line: int
    text: str
    quoted: bool

    @property
    def size(self) -> Size:
        return Size(1, len(self.text))

    @property
    def kind(self) -> ScalarKind:
        if self.quoted:
            return "str"
        kinds: tuple[tuple[ScalarKind, re.Pattern[str]], ...] = (
            ("null", _NULL),
            ("bool", _BOOL),
            ("int", _INT),
            ("float", _FLOAT),
        )
        return next((kind for kind, pattern in kinds if pattern.match(self.text)), "str")


@dataclass
class Items:
    """A YAML sequence."""

    line: int
    items: list["Node"] = field(default_factory=list)
    size: Size = ALONE


@dataclass
class Entries:
    """A YAML mapping; keys are scalars, each there once."""

    line: int
    entries: dict[str, "Node"] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    size: Size = ALONE


Node = Scalar | Items | Entries


def fault(what: str, *, line: int | None = None, field: str | None = None) -> SpecificationError:
    """The one form of a specification's error: where, then what was found and what is allowed; never a secret."""
    where = ", ".join(part for part in (f"line {line}" if line else "", field or "") if part)
    return SpecificationError(redact(f"{where}: {what}" if where else what), line=line, field=field)


def describe(node: Node) -> str:
    """What was found, in words."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Entries):
        return "a mapping"
    words = {"null": "nothing", "bool": "true or false", "int": "a number", "float": "a number", "str": "text"}
    kind = node.kind
    return words[kind] if kind == "null" else f"{words[kind]} ({show(node.text)})"


def list_of(node: Node | None, field: str) -> list[Node]:
    """The items of a list; none where the field is absent or empty."""
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        return []
    if not isinstance(node, Items):
        raise fault(
            f"found {describe(node)}; allowed is a list (lines that begin with `- `)", line=node.line, field=field
        )
    return node.items


def text_of(node: Node, field: str, allowed: str) -> str:
    """The text of a scalar that is text."""
    if not isinstance(node, Scalar) or node.kind != "str":
        quotes = "; put it in quotes if it is one" if isinstance(node, Scalar) and node.kind != "null" else ""
        raise fault(f"found {describe(node)}; allowed is {allowed}{quotes}", line=node.line, field=field)
    return node.text
