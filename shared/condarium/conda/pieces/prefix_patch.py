"""The build's placeholder prefix replaced by the real one, byte for byte as rattler does it.

Text: every occurrence, and the first line by the rules of `shebang`. Binary: inside each zero-terminated string the
rest moves up and the gap before its terminator is filled with zeros, so that the length stays. Both in UTF-8, UTF-16
and UTF-32.

A replacement is a list of patches on the unchanged content, found and applied in chunks: a library of a gigabyte is not
held in memory. `Patched` is the result as `Content`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from condarium.conda.pieces.shebang import replace_in_shebang
from condarium.conda.pieces.spool import CHUNK_BYTES, Content

_ENCODINGS = (("utf-8", 1), ("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4))


@dataclass(frozen=True)
class Patch:
    """Bytes `start` to `end` are replaced by `data`."""

    start: int
    end: int
    data: bytes


@dataclass(frozen=True)
class Patched:
    """`content` with `patches` applied, which are sorted and do not overlap."""

    content: Content
    patches: Sequence[Patch]

    @property
    def size(self) -> int:
        return self.content.size + sum(len(patch.data) - (patch.end - patch.start) for patch in self.patches)

    def chunks(self) -> Iterator[bytes]:
        position = 0
        for patch in self.patches:
            yield from _range_chunks(self.content, position, patch.start)
            yield patch.data
            position = patch.end
        yield from _range_chunks(self.content, position, self.content.size)

    def read(self, start: int, end: int) -> bytes:
        return b"".join(self.chunks())[start:end]


class PrefixTooLong(ValueError):
    """The new prefix does not fit where the placeholder stands in a binary."""


@dataclass(frozen=True)
class _Encoded:
    placeholder: bytes
    target: bytes
    unit: int  # bytes of one code unit, and so of the terminator
    plain: bool  # UTF-8


def _encoded(placeholder: str, prefix: str) -> list[_Encoded]:
    return [
        _Encoded(placeholder.encode(encoding), prefix.encode(encoding), unit, encoding == "utf-8")
        for encoding, unit in _ENCODINGS
    ]


def patch_text(content: Content, placeholder: str, prefix: str, shebang_limit: int) -> Patched:
    """`content` as a text file; `shebang_limit` is the platform's longest first line in bytes."""
    patches, region_end = _shebang_patches(content, placeholder, prefix, shebang_limit)
    readings = [
        _Reading(_rank(encoded, offset), (offset,), offset + len(encoded.placeholder), encoded)
        for encoded in _encoded(placeholder, prefix)
        for offset in occurrences(content, encoded.placeholder)
    ]
    for reading in _disjoint(readings):
        if reading.start >= region_end:
            patches.append(Patch(reading.start, reading.end, reading.encoded.target))
    return Patched(content, patches)


def _shebang_patches(content: Content, placeholder: str, prefix: str, limit: int) -> tuple[list[Patch], int]:
    if content.read(0, 2) != b"#!":
        return [], 0
    newline = _find(content, b"\n", 0, content.size)
    line_end = content.size if newline is None else newline
    region_end = line_end if newline is None else newline + 1
    old = content.read(0, line_end)
    new = replace_in_shebang(old.decode("utf-8", "replace"), placeholder, prefix, limit).encode()
    return ([Patch(0, line_end, new)] if new != old else []), region_end


def patch_binary(content: Content, placeholder: str, prefix: str) -> Patched:
    """`content` with the same length. Raises PrefixTooLong where the prefix is longer than the placeholder."""
    patches: list[Patch] = []
    for string in _disjoint(_strings(content, _encoded(placeholder, prefix))):
        encoded = string.encoded
        shrinks_by = len(encoded.placeholder) - len(encoded.target)
        if shrinks_by < 0:
            raise PrefixTooLong(f"the prefix {prefix!r} is longer than the placeholder it replaces in a binary file")
        patches += [Patch(at, at + len(encoded.placeholder), encoded.target) for at in string.offsets]
        if shrinks_by:
            patches.append(Patch(string.end, string.end, bytes(shrinks_by * len(string.offsets))))
    return Patched(content, patches)


def strings_with(content: Content, placeholder: str) -> tuple[tuple[int, int], ...]:
    """Offset and length of each zero-terminated string in UTF-8, from the first `placeholder` in it to its end."""
    plain = _encoded(placeholder, placeholder)[:1]
    return tuple((string.start, string.end - string.start) for string in _disjoint(_strings(content, plain)))


@dataclass(frozen=True)
class _Reading:
    """Bytes taken for the placeholder (in text), or for a zero-terminated string that holds it at `offsets` (binary).

    A lower rank is more believable: UTF-8, then what is aligned, then strings that really end.
    """

    rank: int
    offsets: tuple[int, ...]
    end: int
    encoded: _Encoded

    @property
    def start(self) -> int:
        return self.offsets[0]


def _rank(encoded: _Encoded, offset: int, is_terminated: bool = True) -> int:
    return 0 if encoded.plain else 1 + 2 * (offset % encoded.unit != 0) + (not is_terminated)


def _strings(content: Content, encodings: Sequence[_Encoded]) -> list[_Reading]:
    """Every reading of every occurrence. An ASCII text in UTF-16-BE is itself in UTF-16-LE one byte later: some
    overlap.
    """
    strings = []
    for encoded in encodings:
        covered = [0] * encoded.unit  # per alignment, where the last string ended
        hits = occurrences(content, encoded.placeholder)
        length = len(encoded.placeholder)
        for index, first in enumerate(hits):
            alignment = first % encoded.unit
            if first < covered[alignment]:
                continue
            terminator = _terminator(content, first + length, encoded.unit)
            end = content.size if terminator is None else terminator
            offsets = _starting_before(end - length + 1, islice(hits, index, None))
            covered[alignment] = end
            rank = _rank(encoded, first, terminator is not None)
            strings.append(_Reading(rank, tuple(offsets), end, encoded))
    return strings


def _starting_before(limit: int, hits: Iterable[int]) -> Iterator[int]:
    return takewhile(lambda hit: hit < limit, hits)


def _disjoint(readings: Sequence[_Reading]) -> list[_Reading]:
    """The best readings that do not overlap a better one, in the order of the file."""
    kept: list[_Reading] = []  # by offset, and disjoint: only the neighbours of a new one can overlap it
    for reading in sorted(readings, key=lambda reading: (reading.rank, reading.start)):
        place = bisect_left(kept, reading.start, key=lambda other: other.start)
        before, after = kept[place - 1 : place], kept[place : place + 1]
        if all(other.end <= reading.start for other in before) and all(reading.end <= other.start for other in after):
            kept.insert(place, reading)
    return kept


def _terminator(content: Content, start: int, unit: int) -> int | None:
    """Where the first zero code unit lies, counted in units from `start`; None if there is none."""
    zero = bytes(unit)
    position = start
    while (found := _find(content, zero, position, content.size)) is not None:
        if (found - start) % unit == 0:
            return found
        position = found + 1
    return None


def occurrences(content: Content, needle: bytes) -> list[int]:
    """Offsets of `needle`, leftmost first, not overlapping."""
    found: list[int] = []
    start = 0  # of the next chunk; chunks overlap by the needle's length, less one
    while start + len(needle) <= content.size:
        chunk = content.read(start, start + CHUNK_BYTES + len(needle) - 1)
        offset = chunk.find(needle)
        while offset >= 0:
            found.append(start + offset)
            offset = chunk.find(needle, offset + len(needle))
        rest = start + len(chunk) - len(needle) + 1
        start = max(rest, found[-1] + len(needle)) if found else rest
    return found


def _find(content: Content, needle: bytes, start: int, end: int) -> int | None:
    """`bytes.find` over windows that grow: what is looked for is mostly near."""
    window = 256
    while start + len(needle) <= end:
        window_end = min(end, start + window + len(needle) - 1)
        offset = content.read(start, window_end).find(needle)
        if offset >= 0:
            return start + offset
        start = window_end - len(needle) + 1
        window = min(2 * window, CHUNK_BYTES)
    return None


def _range_chunks(content: Content, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        chunk = content.read(start, min(end, start + CHUNK_BYTES))
        yield chunk
        start += len(chunk)
