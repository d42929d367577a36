"""What Condarium asks of a storage; `tests/contracts/` proves every answer on all three."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, Self

from condarium.errors import InvalidInput, WorldFault

CHUNK_BYTES = 1024 * 1024
CONTENT_PREFIX = "blobs/sha256/"
#: what a killed writer left is swept when nobody can have written it for so long
STALE_SECONDS = 24 * 3600.0

_SEGMENT = re.compile(r"[A-Za-z0-9._+@=~-]{1,255}\Z")
_CONTENT_KEY = re.compile(r"blobs/sha256/([0-9a-f]{64})\Z")

Source = BinaryIO | bytes | Path


@dataclass(frozen=True)
class Stored:
    """What a put wrote: the key, bytes, and the sha256 in hex of them."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Stat:
    """`size` in bytes, `modified_at` in seconds since 1970."""

    size: int
    modified_at: float


@dataclass(frozen=True)
class Entry:
    """One key of a listing; `size` in bytes, `modified_at` in seconds since 1970."""

    key: str
    size: int
    modified_at: float


class Storage(Protocol):
    """A place for bytes. Keys are paths of A-Z a-z 0-9 . _ + @ = ~ - between slashes; others raise InvalidInput.

    Every method raises WorldFault when the disk or the server fails; no error holds a credential.
    """

    def prepare(self) -> None:
        """Make the directory or bucket where it is missing; called once at a start."""
        ...

    def check(self) -> None:
        """For /readyz: raises WorldFault when nothing could be stored now."""
        ...

    def put(self, key: str, source: Source) -> Stored:
        """Store all of `source` under `key`, at once or not at all; again is harmless, the last one stays.

        Raises:
            WorldFault: also when `key` is `blobs/sha256/<hex>` and the bytes have another sha256; nothing is stored.
        """
        ...

    def join(self, key: str, keys: Sequence[str]) -> int:
        """Store the bytes of all `keys`, in order, under `key` (no content key), at once or not at all; their number.

        Raises:
            NotFound: one of them is not stored.
        """
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> "Blob":
        """The bytes [start, end) as a stream to be closed; both are cut to the size.

        Raises:
            NotFound: no such key.
        """
        ...

    def stat(self, key: str) -> Stat | None:
        """Size and time, or None where there is no such key."""
        ...

    def delete(self, key: str) -> None:
        """Forget `key`; harmless where there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All keys that begin with `prefix`, in no order that all servers share."""
        ...

    def url(
        self,
        key: str,
        *,
        expires_seconds: int,
        filename: str | None = None,
        content_type: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str | None:
        """A signed URL for clients outside, good for ranges; None where the caller must stream the bytes itself."""
        ...

    def path(self, key: str) -> Path | None:
        """The file with the bytes (for sendfile), None where there is none on this host."""
        ...


def blob_key(sha256: str) -> str:
    """The key of bytes that are addressed by their content."""
    return f"{CONTENT_PREFIX}{sha256}"


def check_key(key: str) -> str:
    """`key`, when it is one.

    Raises:
        InvalidInput: empty, absolute, with `..`, NUL or other characters that a directory or S3 reads in its own way.
    """
    segments = key.split("/")
    if (
        len(key) > 900
        or key.startswith(".")
        or any(not _SEGMENT.match(segment) or segment in {".", ".."} for segment in segments)
    ):
        raise InvalidInput(f"{key[:80]!r} is no storage key: parts of A-Z a-z 0-9 . _ + @ = ~ - between slashes are")
    return key


def check_range(start: int, end: int | None) -> None:
    """Raises InvalidInput where `start` or `end` are negative."""
    if start < 0 or (end is not None and end < 0):
        raise InvalidInput(f"a range begins and ends at 0 or later, not at {start}-{end}")


class Blob:
    """A stream of exactly `size` bytes: `read`, iterate in chunks of 1 MiB, close (or `with`); closed at its end."""

    def __init__(self, key: str, size: int, read: Callable[[int], bytes], close: Callable[[], None]) -> None:
        self.key = key
        self.size = size
        self._left = size
        self._read = read
        self._close = close

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (-1: all that is left); b"" at the end.

        Raises:
            WorldFault: the bytes ended before the stream's size.
        """
        if size < 0:
            return b"".join(self)
        wanted = min(size, self._left)
        if wanted == 0:
            if self._left == 0:
                self.close()
            return b""
        data = self._read(wanted)
        if not data:
            raise WorldFault(f"{self.key} ended {self._left} bytes early")
        self._left -= len(data)
        if self._left == 0:
            self.close()
        return data

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HashingReader(io.RawIOBase):
    """A source that counts and hashes what is read, and at its end refuses bytes that are not the key's."""

    def __init__(self, key: str, source: BinaryIO) -> None:
        super().__init__()
        self._key = key
        self._source = source
        self._sha256 = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """As of any stream; raises WorldFault at the end when the sha256 is not the key's."""
        data = self._source.read(size)
        self._sha256.update(data)
        self._size += len(data)
        if not data and size != 0:
            self.stored()
        return data

    def stored(self) -> Stored:
        """What was read so far. Raises WorldFault when its sha256 is not the key's."""
        return check_content(Stored(self._key, self._size, self._sha256.hexdigest()))


def check_content(stored: Stored) -> Stored:
    """`stored`, when its key promises no other sha256. Raises WorldFault."""
    expected = _CONTENT_KEY.match(stored.key)
    if expected and expected[1] != stored.sha256:
        raise WorldFault(
            f"the bytes for {stored.key} have the sha256 {stored.sha256} ({stored.size} bytes); they were damaged on "
            "the way"
        )
    return stored


def measure(key: str, source: bytes | Path) -> Stored:
    """Size and sha256 of a source that can be read twice; raises WorldFault as `check_content`."""
    if isinstance(source, bytes):
        return check_content(Stored(key, len(source), hashlib.sha256(source).hexdigest()))
    try:
        with source.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            size = stream.tell()
    except OSError as error:
        raise WorldFault(f"cannot read {source}: {error.strerror}") from error
    return check_content(Stored(key, size, digest.hexdigest()))


def is_content_key(key: str) -> bool:
    """Whether `key` says the sha256 of its bytes: what is there already needs no second writing."""
    return _CONTENT_KEY.match(key) is not None
