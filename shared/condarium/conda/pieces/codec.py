"""Compression with bytes that are the same everywhere: gzip by ISA-L, checked by a test vector at first use, and zstd.

A codec's `key` names the bytes it makes and is part of every cache key: where ISA-L's bytes are not the expected ones
(another architecture, another release) zlib is used, under another key, and nobody mixes the two.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

import zstandard
from isal import isal_zlib

Compression = Literal["gzip", "zstd"]

_LEVEL_ISAL = 2
_LEVEL_ZLIB = 6
_LEVEL_ZSTD = 3
_VECTOR_SHA256 = "d61fcea86ee7e4b4deb2e47e98f33d5974ade9b9a25c1c7b04bd8734e6f78baf"
# Compressors are fed blocks of this size, because what they write may depend on how the input is cut.
BLOCK_BYTES = 1 << 20


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True)
class Codec:
    """`suffix` is what a name ends with; `start` begins a new member or frame: they may be concatenated.

    `unpack` reads one of them.
    """

    name: Compression
    key: str
    suffix: str
    start: Callable[[], Compressor]
    unpack: Callable[[], Decompressor]


class _GzipMember:
    """A gzip member without name and time around a raw deflate stream."""

    def __init__(self, deflate: Compressor, crc32: Callable[[bytes, int], int]) -> None:
        self._deflate = deflate
        self._crc32 = crc32
        self._crc = 0
        self._size = 0
        self._header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

    def compress(self, data: bytes, /) -> bytes:
        self._crc = self._crc32(data, self._crc)
        self._size += len(data)
        header, self._header = self._header, b""
        return header + self._deflate.compress(data)

    def flush(self) -> bytes:
        return self._header + self._deflate.flush() + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)


def _isal_member() -> _GzipMember:
    return _GzipMember(isal_zlib.compressobj(_LEVEL_ISAL, isal_zlib.DEFLATED, -15), isal_zlib.crc32)


def _zlib_member() -> _GzipMember:
    return _GzipMember(zlib.compressobj(_LEVEL_ZLIB, zlib.DEFLATED, -15), zlib.crc32)


def _zstd_frame() -> Compressor:
    frame: Compressor = zstandard.ZstdCompressor(level=_LEVEL_ZSTD, write_checksum=True).compressobj()
    return frame


def _gunzip() -> Decompressor:
    member: Decompressor = isal_zlib.decompressobj(31)
    return member


def _unzstd() -> Decompressor:
    frame: Decompressor = zstandard.ZstdDecompressor().decompressobj()
    return frame


def test_vector() -> bytes:
    """3 MB that look like code, like noise and like padding; the same on every machine."""
    noise = b"".join(hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(20_000))
    words = b"".join(b"def f_%x(self): return self._%d\n" % (byte, n % 97) for n, byte in enumerate(noise[:60_000]))
    return words + noise + bytes(300_000) + words[::-1]


def compressed(codec: Codec, data: bytes) -> bytes:
    """`data` as one member or frame."""
    compressor = codec.start()
    blocks = (data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES))
    return b"".join(compressor.compress(block) for block in blocks) + compressor.flush()


@cache
def codec(name: Compression) -> Codec:
    """The codec that this machine uses for `name`. Raises ValueError for a name that is not known."""
    if name == "zstd":
        version = ".".join(str(part) for part in zstandard.ZSTD_VERSION)
        return Codec("zstd", f"zstd-{_LEVEL_ZSTD}-{version}", "zst", _zstd_frame, _unzstd)
    if name != "gzip":
        raise ValueError(f"compression {name!r} is not known; known are gzip and zstd")
    fast = Codec("gzip", f"isal-{_LEVEL_ISAL}-1", "gz", _isal_member, _gunzip)
    if hashlib.sha256(compressed(fast, test_vector())).hexdigest() == _VECTOR_SHA256:
        return fast
    return Codec("gzip", f"zlib-{_LEVEL_ZLIB}-{zlib.ZLIB_RUNTIME_VERSION}", "gz", _zlib_member, _gunzip)
