"""What a package's `info/` says about its paths: paths.json, link.json, and the four files that older packages have
instead.
"""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

# conda's placeholder of the time before placeholders were recorded. Built up here so that no tool replaces it in this
# file.
_OLD_PLACEHOLDER = "/opt/" + "".join(f"anaconda{n}" for n in (1, 2, 3))


@dataclass(frozen=True)
class PathEntry:
    """One line of paths.json; `path` is the name in the archive, `size` in bytes."""

    path: str
    path_type: str
    no_link: bool = False
    placeholder: str | None = None
    file_mode: str | None = None
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class EntryPoint:
    """`command = module:function` of a noarch Python package."""

    command: str
    module: str
    function: str


def parse_paths(data: bytes) -> tuple[PathEntry, ...]:
    """Raises ValueError, KeyError or TypeError for another shape."""
    return tuple(_entry(raw) for raw in json.loads(data)["paths"])


def _entry(raw: Mapping[str, Any]) -> PathEntry:
    path_type = raw["path_type"]
    if path_type not in ("hardlink", "softlink", "directory"):
        raise ValueError(f"paths.json gives {raw['_path']!r} the unknown type {path_type!r}")
    placeholder = raw.get("prefix_placeholder") or None
    file_mode = raw.get("file_mode") if placeholder else None
    if placeholder and file_mode not in ("text", "binary"):
        raise ValueError(f"paths.json gives {raw['_path']!r} a placeholder, but the file mode {file_mode!r}")
    return PathEntry(
        path=_text(raw["_path"]),
        path_type=path_type,
        no_link=bool(raw.get("no_link", False)),
        placeholder=None if placeholder is None else _text(placeholder),
        file_mode=file_mode,
        sha256=raw.get("sha256"),
        size=raw.get("size_in_bytes"),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} stands where a text belongs")
    value.encode()  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
    return value


def parse_deprecated(info: Mapping[str, bytes], symlinks: Set[str]) -> tuple[PathEntry, ...]:
    """Packages without paths.json: `files`, `has_prefix`, `no_link`, `no_softlink`."""

    def lines(name: str) -> list[str]:
        return [line for line in info.get(f"info/{name}", b"").decode().splitlines() if line]

    placeholders = dict(_has_prefix_line(line) for line in lines("has_prefix"))
    no_link = {*lines("no_link"), *lines("no_softlink")}
    return tuple(
        PathEntry(
            path=path,
            path_type="softlink" if path in symlinks else "hardlink",
            no_link=path in no_link,
            placeholder=placeholders[path][0] if path in placeholders else None,
            file_mode=placeholders[path][1] if path in placeholders else None,
        )
        for path in lines("files")
    )


def _has_prefix_line(line: str) -> tuple[str, tuple[str, str]]:
    """`path`, or `placeholder mode path`, where placeholder and path may be quoted."""
    words = _words(line)
    if len(words) == 1:
        return words[0], (_OLD_PLACEHOLDER, "text")
    if len(words) == 3 and words[1].lower() in ("text", "binary"):
        return words[2], (words[0], words[1].lower())
    raise ValueError(f"has_prefix holds the line {line!r}; known are `path` and `placeholder text|binary path`")


def _words(line: str) -> list[str]:
    words: list[str] = []
    rest = line.strip()
    while rest:
        if rest.startswith('"'):
            word, _, rest = rest[1:].partition('"')
        else:
            word, *more = rest.split(None, 1)
            rest = more[0] if more else ""
        words.append(word)
        rest = rest.strip()
    return words


def parse_entry_points(data: bytes) -> tuple[EntryPoint, ...]:
    """The commands of link.json. Raises ValueError for one that is not `command = module:function`."""
    noarch = json.loads(data).get("noarch") or {}
    return tuple(parse_entry_point(text) for text in noarch.get("entry_points") or ())


def parse_entry_point(text: str) -> EntryPoint:
    command, equals, rest = text.partition("=")
    module, colon, function = rest.partition(":")
    point = EntryPoint(command.strip(), module.strip(), function.strip())
    if not (equals and colon and point.command and point.module and point.function):
        raise ValueError(f"the entry point {text!r} is not `command = module:function`")
    if "/" in point.command or point.command in (".", "..") or "\0" in point.command:
        raise ValueError(f"the entry point {text!r} names a command outside of bin/")
    return point
