"""A tar whose bytes depend on its entries only: sorted, one owner, two modes, one time; and the stream that hashes and
packs it.

Parents are entries too, once each, before what lies in them: container runtimes would make missing ones with a mode of
their own.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from posixpath import dirname
from typing import Protocol

from condarium.conda.pieces.codec import BLOCK_BYTES, Codec, Compressor
from condarium.conda.pieces.placement import Laid

# The first day that a zip archive can hold in every time zone: tools that zip what they find refuse earlier files.
MTIME = 315_619_200  # 1980-01-02 00:00:00 UTC
END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)


class Sink(Protocol):
    """Where the packed bytes go: a file, or anything with `write`."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class Written:
    """What went into a sink. `digest` is the sha256 of the packed bytes, `diff_id` of the tar; both in hex, sizes in
    bytes.
    """

    digest: str
    diff_id: str
    size: int
    raw_size: int


# What is packed is read in portions of this size, because they may unpack to a thousand times as much.
_PACKED_BYTES = 1 << 15


class PackedStream:
    """Takes a tar's bytes; hashes, packs, hashes again and hands on, in one pass and constant memory."""

    def __init__(self, sink: Sink, codec: Codec) -> None:
        self._sink = sink
        self._codec = codec
        self._compressor: Compressor | None = codec.start()
        self._raw = hashlib.sha256()
        self._packed = hashlib.sha256()
        self._raw_size = 0
        self._size = 0
        self._pending = bytearray()

    def write(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= BLOCK_BYTES:
            whole = len(self._pending) - len(self._pending) % BLOCK_BYTES
            for start in range(0, whole, BLOCK_BYTES):
                self._pack(bytes(self._pending[start : start + BLOCK_BYTES]))
            del self._pending[:whole]

    def _pack(self, block: bytes) -> None:
        self._raw.update(block)
        self._raw_size += len(block)
        if self._compressor is None:
            self._compressor = self._codec.start()
        self._hand_on(self._compressor.compress(block))

    def _hand_on(self, packed: bytes) -> None:
        if packed:
            self._packed.update(packed)
            self._size += len(packed)
            self._sink.write(packed)

    def cut(self) -> int:
        """Ends the member or frame: what follows is a new one. Returns the packed bytes until here."""
        self._end()
        return self._size

    def take_packed(self, blocks: Iterable[bytes]) -> None:
        """Hands on a whole member or frame as it is; to be called right after `cut`."""
        unpacker = self._codec.unpack()
        for portion in portions(blocks):
            raw = unpacker.decompress(portion)
            self._raw.update(raw)
            self._raw_size += len(raw)
            self._hand_on(portion)

    def _end(self) -> None:
        if self._pending:
            self._pack(bytes(self._pending))
            self._pending.clear()
        if self._compressor is not None:
            self._hand_on(self._compressor.flush())
            self._compressor = None

    def close(self) -> Written:
        self._end()
        return Written(self._packed.hexdigest(), self._raw.hexdigest(), self._size, self._raw_size)


def portions(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Packed bytes, cut so small that what they unpack to fits into memory."""
    for block in blocks:
        for start in range(0, len(block), _PACKED_BYTES):
            yield block[start : start + _PACKED_BYTES]


def tar_chunks(laid: Iterable[Laid], root: str = "") -> Iterator[bytes]:
    """The tar of `laid` below the directory `root`, without the end-of-archive blocks; of a path given twice the last
    stays.
    """
    by_path = placed(laid, root)
    for path in sorted(by_path):
        yield from entry_chunks(path, by_path[path])


def placed(laid: Iterable[Laid], root: str = "") -> dict[str, Laid]:
    """`laid` and the directories that they lie in, by their paths from `root`'s parent."""
    by_path = {f"{root}/{item.path}" if root else item.path: item for item in laid}
    parents = {parent for path in by_path for parent in _parents(path)} - by_path.keys()
    return by_path | {parent: Laid(parent) for parent in parents}


def _parents(path: str) -> Iterator[str]:
    parent = dirname(path)
    while parent:
        yield parent
        parent = dirname(parent)


def entry_chunks(path: str, item: Laid) -> Iterator[bytes]:
    """Header, content and padding of one entry."""
    info = tarfile.TarInfo(path)
    info.mtime = MTIME
    if item.target is not None:
        info.type, info.linkname, mode = tarfile.SYMTYPE, item.target, 0o777
    elif item.content is None:
        info.type, mode = tarfile.DIRTYPE, 0o755
    else:
        info.size, mode = item.content.size, 0o755 if item.executable else 0o644
    info.mode = mode if item.mode is None else item.mode
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if item.content is not None and item.content.size:
        yield from item.content.chunks()
        yield bytes(-item.content.size % tarfile.BLOCKSIZE)
