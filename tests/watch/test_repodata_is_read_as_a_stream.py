"""A large JSON object is read entry by entry, in little memory, wherever the pieces of it end."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condarium.conda.json_stream import JsonStream
from condarium.errors import WorldFault

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=8
)
OBJECTS = st.dictionaries(st.text(), st.one_of(SCALARS, st.lists(SCALARS), st.dictionaries(st.text(), VALUES)))


class Pieces(io.RawIOBase):
    """Gives at most `size` bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = io.BytesIO(content), size

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, self._size) if size > 0 else self._size)


def entries(content: bytes, size: int) -> list[tuple[str, str, Any]]:
    return list(JsonStream(Pieces(content, size), "it").entries())  # type: ignore[arg-type]


@given(OBJECTS, st.integers(1, 40), st.sampled_from((None, 1)), st.booleans())
def test_pieces_of_any_size_give_what_the_whole_gives(
    content: dict[str, Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    try:
        raw = json.dumps(content, indent=indent, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    expected = [
        (key, name, value) for key, entry in content.items() if isinstance(entry, dict) for name, value in entry.items()
    ]
    assert entries(raw, size) == expected


@given(OBJECTS, st.integers(1, 40), st.integers(1, 1000))
def test_what_is_cut_off_is_never_taken_for_whole(content: dict[str, Any], size: int, missing: int) -> None:
    raw = json.dumps(content).encode()
    with pytest.raises(WorldFault):
        entries(raw[: max(0, len(raw) - missing)], size)


def test_memory_does_not_grow_with_the_file() -> None:
    record = json.dumps({"name": "numpy", "depends": ["python"] * 20})

    def chunks() -> Iterator[bytes]:
        yield b'{"info": {}, "packages.conda": {'
        for number in range(60_000):
            yield f'"{number}": {record}, '.encode()
        yield f'"last": {record}}}}}'.encode()

    content = io.BytesIO(b"".join(chunks()))
    assert len(content.getvalue()) > 14_000_000
    tracemalloc.start()
    try:
        count = sum(1 for _ in JsonStream(content, "it").entries())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60_001
    assert peak < 8_000_000
