"""A large JSON object of objects, read entry by entry: `{"packages": {"a.conda": {...}, ...}, ...}`.

Only one entry is in memory at a time, and the standard library's own scanner makes it. One pass gives all objects of
the file; ijson's C backend takes as long for each of them (docs/packages.md has figures).
"""

import codecs
import json
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, BinaryIO

from condarium.errors import WorldFault

_CHUNK = 1 << 20
_SPACE = " \t\r\n"
_AFTER_NUMBERS = tuple(",}]" + _SPACE)
#: one entry; nothing that a channel has comes near
LONGEST_ENTRY = 64 << 20


class JsonStream:
    """`entries` may be called once. `keys` are those of the outermost object that have been seen by then."""

    def __init__(self, source: BinaryIO, what: str) -> None:
        """`what` names the source in messages."""
        self.keys: set[str] = set()
        self._source, self._what = source, what
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._scan = json.JSONDecoder().raw_decode
        self._text, self._at = "", 0
        self._ended = False

    def entries(self) -> Iterator[tuple[str, str, Any]]:
        """(key, entry's key, entry) of every entry of every object in the outermost object; other values are left out.

        Raises WorldFault for what is cut off or no such JSON: it has been seen to be whole when the iterator ends.
        """
        self._expect("{")
        if self._next() == "}":
            self._at += 1
        else:
            while True:
                key = self._key()
                self.keys.add(key)
                if self._next() == "{":
                    self._at += 1
                    yield from self._object(key)
                else:
                    self._value()
                if self._comma_or("}"):
                    break
        if self._next(end=True):
            raise self._broken("there is something after its end")

    def _object(self, key: str) -> Iterator[tuple[str, str, Any]]:
        if self._next() == "}":
            self._at += 1
            return
        while True:
            entry = self._key()
            self._next()
            yield key, entry, self._value()
            if self._comma_or("}"):
                return

    def _key(self) -> str:
        self._expect('"')
        while True:
            try:
                key, end = scanstring(self._text, self._at, True)
                break
            except ValueError:
                self._more()
        self._at = end
        self._expect(":")
        return str(key)

    def _value(self) -> Any:
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except RecursionError:
                raise self._broken("it is nested too deeply") from None
            except ValueError:
                self._more()
                continue
            # A number that stops at the end of what was read, or at `1.`, may go on.
            if isinstance(value, dict | list | str) or self._ended or self._text[end : end + 1] in _AFTER_NUMBERS:
                self._at = end
                return value
            self._more()

    def _comma_or(self, end: str) -> bool:
        """Passes a comma (False) or `end` (True)."""
        found = self._next()
        if found != end and found != ",":
            raise self._broken(f"expected , or {end}, found {found!r}")
        self._at += 1
        return found == end

    def _expect(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise self._broken(f"expected {wanted}, found {found!r}")
        self._at += 1

    def _next(self, *, end: bool = False) -> str:
        """The next character that is no space; "" at the end, where that is allowed."""
        while True:
            text, at = self._text, self._at
            while at < len(text):
                if text[at] not in _SPACE:
                    self._at = at
                    return text[at]
                at += 1
            self._at = at
            if self._ended and end:
                return ""
            self._more()

    def _more(self) -> None:
        """Reads on, and forgets what has been passed. Raises WorldFault at the end: then something is unfinished."""
        if self._ended:
            raise self._broken("it is cut off, or no JSON")
        left = self._text[self._at :]
        if len(left) > LONGEST_ENTRY:
            raise self._broken("it is no JSON, or has an entry that is far too long")
        try:
            # A long entry is read in ever larger pieces, or it would be scanned again for each.
            chunk = self._source.read(max(_CHUNK, len(left)))
            self._text, self._at = left + self._decode.decode(chunk, final=not chunk), 0
        except UnicodeDecodeError:
            raise self._broken("it is no UTF-8") from None
        self._ended = not chunk

    def _broken(self, why: str) -> WorldFault:
        return WorldFault(f"{self._what} cannot be used: {why}.")
