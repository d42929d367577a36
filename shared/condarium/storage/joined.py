"""Several keys read as one stream."""

import io
from collections.abc import Iterator

from condarium.storage.port import Blob


class Joined(io.RawIOBase):
    """The bytes of `blobs`, one after the other; each is taken when the one before has ended, and closed at its end."""

    def __init__(self, blobs: Iterator[Blob]) -> None:
        super().__init__()
        self._blobs = blobs
        self._current: Blob | None = None

    def read(self, size: int = -1) -> bytes:
        """As of any stream. Raises what opening and reading the blobs raises."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while True:
            if self._current is None:
                self._current = next(self._blobs, None)
            if self._current is None or size == 0:
                return b""
            if data := self._current.read(size):
                return data
            self._current.close()
            self._current = None

    def close(self) -> None:
        if self._current is not None:
            self._current.close()
        super().close()
