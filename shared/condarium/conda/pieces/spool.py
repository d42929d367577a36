"""Bytes of one package while a piece is made of it: in memory up to a limit, then in one unnamed file.

Whatever is laid into a tar is a `Content`: a size that is known before the first byte (a tar header needs it), and
chunks.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from condarium.errors import InputFault, WorldFault

CHUNK_BYTES = 1 << 20
MEMORY_BYTES = 32 << 20
# No real package comes near it; a bomb of nested zeros stops here instead of filling the disk.
LIMIT_BYTES = 64 << 30


class Content(Protocol):
    """Bytes with a known size; may be read several times."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, end: int) -> bytes: ...

    def chunks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Literal:
    """Content that is small and made here."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]

    def chunks(self) -> Iterator[bytes]:
        yield self.data


@dataclass(frozen=True)
class Spooled:
    """Content that lies in a spool; readable until the spool is closed."""

    spool: "Spool"
    offset: int
    size: int

    def read(self, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of the content, fewer at its end."""
        end = min(end, self.size)
        return self.spool.read(self.offset + start, max(0, end - start))

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, self.size, CHUNK_BYTES):
            yield self.read(start, start + CHUNK_BYTES)


class Spool:
    """Append-only temporary bytes. `directory` is where the file goes (default: the system's); memory stays bounded."""

    def __init__(
        self, directory: Path | None = None, memory_bytes: int = MEMORY_BYTES, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        where = None if directory is None else str(directory)
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=where)  # noqa: SIM115 closed by __exit__
        self._end = 0
        self._limit = limit_bytes

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, source: BinaryIO, what: str) -> Spooled:
        """Keep all that `source` gives. Raises WorldFault when the disk refuses, InputFault above the limit."""
        offset = self._end
        while chunk := source.read(CHUNK_BYTES):
            self._end += len(chunk)
            if self._end > self._limit:
                raise InputFault(
                    f"{what} unpacks to more than {self._limit} bytes; such a package is refused", reason="bad-package"
                )
            self._write(chunk)
        return Spooled(self, offset, self._end - offset)

    def _write(self, chunk: bytes) -> None:
        try:
            self._file.seek(self._end - len(chunk))
            self._file.write(chunk)
        except OSError as error:
            raise WorldFault(f"cannot write a temporary file for unpacking: {error}") from error

    def read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)
