"""Conda's order of versions as bytes: `sort_key(a) < sort_key(b)` exactly where conda says that a is older than b.

A version is an epoch, segments and local segments; a segment is a list of numbers and words. Two versions are
compared place by place, and what is missing counts as zero: 1.0 is 1.0.0, and 1.0a1 comes before it because a word is
less than a number. Databases compare bytes from the left and know nothing of missing zeros, so each place is written
as what it is beside all zeros: less, the end, or more. A run of zeros is written together with what follows it,
because only that decides: before something less, a longer run is more; before something more, it is less.

A test holds this to py-rattler, which may not be imported here.
"""

import re
from functools import lru_cache

_SEGMENTS = r"[0-9a-z]+(?:[._-][0-9a-z]+)*(?:[._-]?[_-])?"
_VERSION = re.compile(rf"(?:([0-9]+)!)?({_SEGMENTS})(?:\+({_SEGMENTS}))?")
_SEPARATOR = re.compile(r"[._-]")
_TAIL = re.compile(r"([._-]?)[_-]$")
_PLACES = re.compile(r"[0-9]+|[a-z]+")
#: rattler's numbers have 64 bits
_LARGEST = 2**64 - 1
_MOST_DIGITS = len(str(_LARGEST))
_LONGEST_RUN = 0xFFFF

# One place of a segment, by what it is beside zero.
_DEV, _UNDERSCORE, _WORD = b"\x10", b"\x14", b"\x18"
_ZEROS_THEN_LESS, _SEGMENTS_THEN_LESS = b"\x20", b"\x28"
_END = b"\x30"
_SEGMENTS_THEN_MORE, _ZEROS_THEN_MORE = b"\x38", b"\x40"
_NUMBER, _POST = b"\x48", b"\x50"
_SPECIAL = {"dev": _DEV, "_": _UNDERSCORE, "post": _POST}

#: of what is no version: it comes before all versions
NO_VERSION = b""

_Segment = list[int | str]


@lru_cache(maxsize=1 << 16)
def sort_key(version: str) -> bytes:
    """Bytes that sort as conda sorts; equal for versions that are equal (1.0 and 1.0.0). Raises nothing."""
    match = _VERSION.fullmatch(version.lower()) if version.isascii() else None
    if match is None or ("_" in version and "-" in version):
        return NO_VERSION
    epoch, release, local = match.groups()
    try:
        return _magnitude(_number(epoch or "0")) + _encode(_segments(release)) + _encode(_segments(local or ""))
    except OverflowError:
        return NO_VERSION


def _segments(text: str) -> list[_Segment]:
    """`1.0a_` is [[1], [0, 'a', '_']]: a word that leads has a zero before it, a dash at the end is an underscore."""
    if not text:
        return []
    tail = _TAIL.search(text)
    found: list[_Segment] = []
    for part in _SEPARATOR.split(text[: tail.start()] if tail else text):
        places: _Segment = [_number(place) if place.isdigit() else place for place in _PLACES.findall(part)]
        found.append(places if isinstance(places[0], int) else [0, *places])
    if tail and tail[1]:
        found.append([0, "_"])  # `1._`: a segment of its own
    elif tail:
        found[-1].append("_")
    return found


def _encode(segments: list[_Segment]) -> bytes:
    written = bytearray()
    zeros = 0
    for segment in segments:
        code = _encode_segment(segment)
        if code == _END:
            zeros += 1
            continue
        if zeros:
            written += _run(zeros, less=code < _END, marks=(_SEGMENTS_THEN_LESS, _SEGMENTS_THEN_MORE))
            zeros = 0
        written += code
    return bytes(written + _END)


def _encode_segment(segment: _Segment) -> bytes:
    written = bytearray()
    zeros = 0
    for place in segment:
        if place == 0:
            zeros += 1
            continue
        code = _encode_place(place)
        if zeros:
            written += _run(zeros, less=code < _END, marks=(_ZEROS_THEN_LESS, _ZEROS_THEN_MORE))
            zeros = 0
        written += code
    return bytes(written + _END)


def _encode_place(place: int | str) -> bytes:
    if isinstance(place, int):
        return _NUMBER + _magnitude(place)
    return _SPECIAL.get(place) or _WORD + place.encode() + b"\0"


def _run(zeros: int, *, less: bool, marks: tuple[bytes, bytes]) -> bytes:
    if zeros >= _LONGEST_RUN:
        raise OverflowError
    mark, length = (marks[0], zeros) if less else (marks[1], _LONGEST_RUN - zeros)
    return mark + length.to_bytes(2, "big")


def _number(digits: str) -> int:
    """Raises OverflowError for what rattler calls no number."""
    significant = digits.lstrip("0") or "0"
    if len(significant) > _MOST_DIGITS or (number := int(significant)) > _LARGEST:
        raise OverflowError
    return number


def _magnitude(number: int) -> bytes:
    """A number as its length and its bytes, so that longer ones are more."""
    size = (number.bit_length() + 7) // 8
    return bytes((size,)) + number.to_bytes(size, "big")
