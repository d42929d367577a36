"""The layer that lies over all others: what belongs to the environment itself, and what the order of layers got wrong.

Layers lie in an order that is good for those who pull, packages are linked in another. Of a path that two packages
have, an installer leaves what it linked last; where another one's lies on top, the right one is laid here once more.
"""

import io
import itertools
import sys
import tarfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from condarium.conda.pieces.codec import Compression, codec
from condarium.conda.pieces.layer import LAYER_FORMAT, LayerResult, Part, by_name, path_number, unpacked, write_layer
from condarium.conda.pieces.placement import Laid, Placement
from condarium.conda.pieces.prefix_record import history, state
from condarium.conda.pieces.spool import Literal, Spool
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, Sink
from condarium.domain.canonical import canonical_hash
from condarium.domain.image import PREFIX
from condarium.domain.link_order import Member, link_order
from condarium.domain.lock import Lock, Wheel


@dataclass(frozen=True)
class Correction:
    """Paths, by their `path_number`, that are laid once more out of a member's layer, which has the key `key`."""

    key: str
    paths: tuple[int, ...]


def wrong_paths(
    lock: Lock, groups: Sequence[Sequence[Member]], tables: Sequence[Sequence[bytes]]
) -> list[tuple[Member, tuple[int, ...]]]:
    """The members whose files lie below those of others, though they are linked later, and which paths these are.

    `groups` are the members of each layer, bottom first; `tables` what `LayerResult.paths` says of each of them.
    """
    seen = [
        (member, _numbers(table))
        for group, row in zip(groups, tables, strict=True)
        for member, table in zip(by_name(group), row, strict=True)
    ]
    if len(set().union(*(numbers for _, numbers in seen))) == sum(len(numbers) for _, numbers in seen):
        return []
    place = {_key(member): number for number, member in enumerate(link_order(lock))}
    top: dict[int, int] = {}
    last: dict[int, int] = {}
    for height, (member, numbers) in enumerate(seen):
        for number in numbers:
            top[number] = height
            before = last.setdefault(number, height)
            if place[_key(member)] > place[_key(seen[before][0])]:
                last[number] = height
    wrong: dict[int, list[int]] = {}
    for number, height in last.items():
        if top[number] != height:
            wrong.setdefault(height, []).append(number)
    return [(seen[height][0], tuple(sorted(wrong[height]))) for height in sorted(wrong)]


def _key(member: Member) -> tuple[bool, str]:
    return isinstance(member, Wheel), member.name


def shared_paths(tables: Sequence[bytes]) -> bool:
    """Whether members with these tables have a path in common."""
    numbers = [_numbers(table) for table in tables]
    return len(set().union(*numbers)) != sum(map(len, numbers))


def _numbers(table: bytes) -> "array[int]":
    numbers = array("Q")
    numbers.frombytes(table)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def top_layer_key(
    lock: Lock,
    prefix: str = PREFIX,
    compression: Compression = "gzip",
    corrections: Sequence[Correction] = (),
    scripts: str | None = None,
) -> str:
    """sha256 in hex of what decides the top layer's bytes; `scripts` stands for what link scripts do, if they run."""
    files = {item.path: item.content.read(0, item.content.size).decode() for item in own_files(lock) if item.content}
    more = [[correction.key, list(correction.paths)] for correction in corrections]
    return canonical_hash(["top", LAYER_FORMAT, codec(compression).key, prefix, files, more, scripts])


def make_top_layer(
    lock: Lock,
    *,
    sink: Sink,
    prefix: str = PREFIX,
    compression: Compression = "gzip",
    corrections: Iterable[tuple[Part, Sequence[int]]] = (),
    changed: Sequence[Laid] = (),
    spool_directory: Path | None = None,
) -> LayerResult:
    """The layer that belongs to the environment itself: requested specs and variables, where conda looks for them.

    `corrections` are paths to lay once more, out of the layers of their members; `changed` is what link scripts did.
    """
    with Spool(spool_directory) as spool:
        laid = own_files(lock)
        for part, paths in corrections:
            laid += _pick(part, frozenset(paths), prefix, compression, spool)
        return write_layer([Placement((*laid, *changed))], prefix, sink, compression)


def own_files(lock: Lock) -> list[Laid]:
    laid = [Laid("conda-meta/history", Literal(history(lock)))]
    if lock.variables:
        laid.append(Laid("conda-meta/state", Literal(state(lock.variables))))
    return laid


def _pick(part: Part, paths: frozenset[int], prefix: str, compression: Compression, spool: Spool) -> Iterator[Laid]:
    root = f"{prefix.strip('/')}/"
    with tarfile.open(fileobj=cast(BinaryIO, _Reader(unpacked(part, compression))), mode="r|", encoding="utf-8") as tar:
        for entry in tar:
            path = entry.name.removeprefix(root)
            if path_number(path) not in paths:
                continue
            if entry.issym():
                yield Laid(path, target=entry.linkname)
            elif source := tar.extractfile(entry):
                yield Laid(path, spool.add(cast(BinaryIO, source), path), mode=entry.mode)


class _Reader:
    """A tar without its end as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = itertools.chain(chunks, [END_OF_ARCHIVE])
        self._current = io.BytesIO()

    def read(self, size: int) -> bytes:
        data = self._current.read(size)
        while len(data) < size and (chunk := next(self._chunks, None)) is not None:
            self._current = io.BytesIO(chunk)
            data += self._current.read(size - len(data))
        return data
