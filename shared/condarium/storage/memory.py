"""Bytes in this process; for tests and for trying things out."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

from condarium.errors import NotFound, WorldFault
from condarium.storage.joined import Joined
from condarium.storage.port import CHUNK_BYTES, Blob, Entry, HashingReader, Source, Stat, Stored, check_key, check_range


class MemoryStorage:
    """A dictionary behind a lock."""

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "MemoryStorage()"

    def prepare(self) -> None:
        """Nothing to make."""

    def check(self) -> None:
        """Memory is always there."""

    def put(self, key: str, source: Source) -> Stored:
        check_key(key)
        stream = HashingReader(key, _stream_of(key, source))
        chunks = []
        try:
            while chunk := stream.read(CHUNK_BYTES):
                chunks.append(chunk)
        except OSError as error:
            raise WorldFault(f"cannot store {key}: {error.strerror or error}") from error
        stored = stream.stored()
        with self._lock:
            self._blobs[key] = (b"".join(chunks), time.time())
        return stored

    def join(self, key: str, keys: Sequence[str]) -> int:
        return self.put(key, cast(BinaryIO, Joined(self.open(each) for each in keys))).size

    def open(self, key: str, start: int = 0, end: int | None = None) -> Blob:
        check_range(start, end)
        with self._lock:
            found = self._blobs.get(check_key(key))
        if found is None:
            raise NotFound(f"{key} is not stored")
        part = io.BytesIO(found[0][start:end])
        return Blob(key, len(part.getbuffer()), part.read, part.close)

    def stat(self, key: str) -> Stat | None:
        with self._lock:
            found = self._blobs.get(check_key(key))
        return Stat(len(found[0]), found[1]) if found else None

    def delete(self, key: str) -> None:
        with self._lock:
            self._blobs.pop(check_key(key), None)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with self._lock:
            found = sorted((key, blob) for key, blob in self._blobs.items() if key.startswith(prefix))
        return iter([Entry(key, len(data), modified_at) for key, (data, modified_at) in found])

    def url(
        self,
        key: str,
        *,
        expires_seconds: int,
        filename: str | None = None,
        content_type: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str | None:
        check_key(key)
        return None

    def path(self, key: str) -> Path | None:
        check_key(key)
        return None


def _stream_of(key: str, source: Source) -> BinaryIO:
    if isinstance(source, Path):
        try:
            return io.BytesIO(source.read_bytes())
        except OSError as error:
            raise WorldFault(f"cannot store {key}: {error.strerror}") from error
    return io.BytesIO(source) if isinstance(source, bytes) else source
