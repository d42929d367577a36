"""Reading the YAML of an environment.yml into nodes that know their line, within bounds of size, depth and number.

PyYAML's own composers recurse and expand; a hostile document would overflow the stack or the memory. Here its parser
gives events, and a loop with bounds makes nodes of them. Plain scalars mean what YAML 1.2 says (`yes` is a word).
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from condarium.domain.credentials import show
from condarium.domain.specification.nodes import Entries, Items, Node, Scalar, Size, describe, fault
from condarium.errors import SpecificationError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_VALUES = 20_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Every escape of JSON is one match, so that the second backslash of \\\\ begins none.
_PAIR = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STRING_TAGS = {"!", "tag:yaml.org,2002:str"}


EXPECTED = "an environment.yml is a mapping with the keys name, channels and dependencies"


def read_yaml(text: str | bytes, *, slack: int = 1, expected: str = EXPECTED) -> Entries:
    """The mapping that the document is; `slack` widens the bounds for what is no environment.yml, `expected` says what.

    Raises:
        SpecificationError: too large, not UTF-8, not YAML, more than one document, not a mapping, a duplicate key,
            a tag, or more depth or nodes (aliases counted in full) than any environment needs.
    """
    source = _decode(text, MAX_BYTES * slack)
    try:
        document = _compose(yaml.parse(source, Loader=_LOADER), Size(MAX_VALUES * slack, MAX_BYTES * slack))
    except yaml.MarkedYAMLError as error:
        raise _syntax_fault(error, source) from None
    except yaml.YAMLError as error:
        raise fault(f"this is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, Entries):
        found = "an empty document" if document is None else describe(document)
        raise fault(
            f"found {found}; {expected}",
            line=document.line if document else None,
        )
    return document


def _decode(text: str | bytes, limit: int) -> str:
    if len(text) > limit:
        raise fault(f"found {len(text):,} bytes; at most {limit:,} bytes are allowed")
    try:
        encoded = text.encode() if isinstance(text, str) else bytes(text)
        decoded = encoded.decode("utf-8-sig")
    except UnicodeEncodeError as error:
        raise fault(f"found half of a surrogate pair at character {error.start + 1}; text is Unicode") from None
    except UnicodeDecodeError as error:
        line = encoded.count(b"\n", 0, error.start) + 1
        raise fault(f"byte 0x{encoded[error.start]:02x} is not UTF-8; save the file as UTF-8", line=line) from None
    if len(encoded) > limit:
        raise fault(f"found {len(encoded):,} bytes; at most {limit:,} bytes are allowed")
    if control := _CONTROL.search(decoded):
        line = decoded.count("\n", 0, control.start()) + 1
        raise fault(f"found the control character U+{ord(control[0]):04X}; only text is allowed", line=line)
    return _json_as_yaml(decoded) if decoded.lstrip().startswith("{") else decoded


def _json_as_yaml(text: str) -> str:
    """JSON in the two points where YAML differs: tabs between values, and an emoji as two \\u escapes."""
    if "\t" not in text and "\\ud" not in text.lower():
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Inside of a string JSON has no raw tab.
    return _PAIR.sub(_join_pair, text.replace("\t", " "))


def _join_pair(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]
    return chr(0x10000 + ((int(match[1], 16) - 0xD800) << 10) + int(match[2], 16) - 0xDC00)


def _syntax_fault(error: yaml.MarkedYAMLError, source: str) -> SpecificationError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be read"
    assert mark is not None, "the parser always says where"
    lines = source.split("\n")
    # YAML has more line breaks than editors, and what is missing at the end is missed on the line after it.
    line = min(mark.line + 1, len(lines))
    text = lines[line - 1]
    found = text[mark.column : mark.column + 1]
    if found == "\t" or text.lstrip(" ").startswith("\t"):
        return fault("this is not YAML: found a tab where only spaces may stand; indent with spaces", line=line)
    if "cannot start any token" in problem:
        return fault(f"this is not YAML: no value may begin with {show(found)}; put it in quotes", line=line)
    context = f" {error.context}" if error.context and error.context != problem else ""
    return fault(f"this is not YAML: {problem}{context}", line=line)


class _Composer:
    """Events in, one node out; a stack instead of recursion."""

    def __init__(self, limit: Size) -> None:
        self.limit = limit
        self.root: Node | None = None
        self.open: list[tuple[Items | Entries, str | None]] = []
        self.keys: list[Scalar | None] = []
        self.anchors: dict[str, Node] = {}
        self.total = Size(0, 0)

    def count(self, size: Size, line: int) -> None:
        self.total += size
        for counted, limit, what in zip(self.total, self.limit, Size._fields, strict=True):
            if counted > limit:
                raise fault(f"more than {limit:,} {what} (aliases counted in full) are not allowed", line=line)

    def begin(self, node: Items | Entries, anchor: str | None) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise fault(f"nested more than {MAX_DEPTH} deep; an environment.yml needs 3", line=node.line)
        self.count(node.size, node.line)
        self.open.append((node, anchor))
        self.keys.append(None)

    def end(self) -> None:
        node, anchor = self.open.pop()
        self.keys.pop()
        self.add(node, anchor)

    def add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        parent = self.open[-1][0]
        parent.size += node.size
        if isinstance(parent, Items):
            parent.items.append(node)
            return
        key = self.keys[-1]
        if key is not None:
            parent.entries[key.text] = node
            self.keys[-1] = None
            return
        if not isinstance(node, Scalar):
            raise fault(f"found {describe(node)} as a key; keys are words", line=node.line)
        if node.text in parent.entries:
            first = parent.lines[node.text]
            raise fault(f"the key {show(node.text)} is there twice (first in line {first})", line=node.line)
        parent.lines[node.text] = node.line
        self.keys[-1] = node

    def alias(self, name: Any, line: int) -> None:
        node = self.anchors.get(name)
        if node is None:
            raise fault(f"the alias {show('*' + name)} stands before or inside of its anchor", line=line)
        self.count(node.size, line)
        self.add(node, None)


def _compose(events: Iterator[Any], limit: Size) -> Node | None:
    composer = _Composer(limit)
    documents = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise fault("a second document begins here (---); one environment.yml is one document", line=line)
        elif isinstance(event, yaml.ScalarEvent):
            scalar = _scalar(event, line)
            composer.count(scalar.size, line)
            composer.add(scalar, event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent):
            _refuse_tag(event.tag, line)
            composer.begin(Items(line), event.anchor)
        elif isinstance(event, yaml.MappingStartEvent):
            _refuse_tag(event.tag, line)
            composer.begin(Entries(line), event.anchor)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            composer.end()
        elif isinstance(event, yaml.AliasEvent):
            composer.alias(event.anchor, line)
    return composer.root


def _scalar(event: Any, line: int) -> Scalar:
    tagged = event.tag in _STRING_TAGS
    if not tagged:
        _refuse_tag(event.tag, line)
    text = event.value
    if lone := _SURROGATE.search(text):
        raise fault(f"found half of a surrogate pair (\\u{ord(lone[0]):04x}); text is Unicode", line=line)
    if control := _CONTROL.search(text):
        raise fault(f"found the escaped control character U+{ord(control[0]):04X}; only text is allowed", line=line)
    return Scalar(line, text, quoted=tagged or not event.implicit[0])


def _refuse_tag(tag: str | None, line: int) -> None:
    if tag is not None and tag != "!":
        name = tag.replace("tag:yaml.org,2002:", "!!")
        raise fault(f"found the YAML tag {show(name)}; tags are not allowed, write plain text", line=line)
