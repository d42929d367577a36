"""The beginning of an installer: a shell script, and behind it the table of what it has to change in which file.

An installer is this header and the members of the gzip tarball, as they are: nothing is packed twice. Where the
placeholder stands in binary files is known since each member was made, so that the script only copies bytes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from condarium.conda.pieces.placement import Rewrite
from condarium.conda.pieces.shebang import shebang_limit
from condarium.errors import InputFault

# Goes up whenever the bytes of a header change for the same lock.
INSTALLER_FORMAT = 1

#: where no string of a fixed length holds the prefix: the longest path that Linux takes, less room for names in it
_ANY_PREFIX = 3000


@dataclass(frozen=True)
class Payload:
    """What follows the header: sha256 in hex, its length and what it is unpacked, in bytes."""

    sha256: str
    size: int
    unpacked: int


def make_header(platform: str, rewrites: Sequence[Rewrite], payload: Payload) -> bytes:
    """Equal for equal arguments, whoever makes it. Raises InputFault for a path that no table can hold."""
    table = list(_table(rewrites, shebang_limit(platform)))
    script = _template()
    values = {
        "table_line": script.count("\n") + 1,
        "table_lines": len(table),
        "payload_sha256": payload.sha256,
        "payload_bytes": payload.size,
        "unpacked_kb": payload.unpacked // 1024 + 1,
        "longest_prefix": min(
            (len(each.placeholder.encode()) for each in rewrites if each.strings), default=_ANY_PREFIX
        ),
        "platform": platform,
    }
    for name, value in values.items():
        script = script.replace(f"@{name}@", str(value))
    text = script.encode() + b"".join(line + b"\n" for line in table)
    return _signed(text)


def _signed(text: bytes) -> bytes:
    """With its own length and digest in it; the digest is that of the text without it."""
    blank = text.replace(b"@header_sha256@", b"", 1)
    size = len(blank) + 64
    for _ in range(3):  # the number's own digits count
        sized = blank.replace(b"@header_bytes@", str(size).encode(), 1)
        size = len(sized) + 64
    sized = blank.replace(b"@header_bytes@", str(size).encode(), 1)
    digest = hashlib.sha256(sized).hexdigest().encode()
    return sized.replace(b"header_sha256=''", b"header_sha256='" + digest + b"'", 1)


def _table(rewrites: Sequence[Rewrite], limit: int) -> Iterator[bytes]:
    """Lines: P placeholder, and for the files that hold it T path, H room path, B offset length path."""
    placeholder = None
    for rewrite in sorted(rewrites, key=lambda rewrite: (rewrite.placeholder, rewrite.path)):
        if rewrite.placeholder != placeholder:
            placeholder = rewrite.placeholder
            yield b"P " + _line(placeholder)
        path = _line(rewrite.path)
        if rewrite.mode == "binary":
            for start, length in rewrite.strings:
                yield b"B %d %d %s" % (start, length, path)
        elif rewrite.shebang_rest is not None:
            yield b"H %d %s" % (max(0, limit - rewrite.shebang_rest), path)
        else:
            yield b"T " + path


def _line(text: str) -> bytes:
    if "\n" in text or "\0" in text:
        raise InputFault(f"{text[:80]!r} holds a line break: no installer can be made", reason="link-failed")
    return text.encode("utf-8", "surrogateescape")


@cache
def _template() -> str:
    return (resources.files("condarium.conda.installer") / "installer.sh").read_text("utf-8")
