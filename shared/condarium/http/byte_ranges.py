"""Bytes out of storage as replies: ranges, conditions, HEAD; a few MiB of memory whatever the size."""

import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from dataclasses import dataclass

import anyio
from anyio import CancelScope, to_thread
from starlette.requests import Request
from starlette.responses import Response

from condarium.errors import NotFound
from condarium.http.stream import Stream
from condarium.storage import Storage

#: sent at a time; small pieces are joined up to this
CHUNK_BYTES = 256 * 1024
#: threads that read for downloads
READERS = 16

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


@dataclass(frozen=True)
class Piece:
    """Bytes `start` to `end` (exclusive) of what storage keeps under `key`."""

    key: str
    start: int
    end: int


@dataclass(frozen=True)
class Content:
    """What is served: `size` bytes; `etag` without quotes is equal for equal bytes; `pieces(start, end)` in order."""

    size: int
    etag: str
    pieces: Callable[[int, int], Iterable[Piece]]


class Unsatisfiable(Exception):
    """The range begins behind the end."""


def stored(storage: Storage, key: str) -> Content:
    """One key as content. Raises NotFound, InvalidInput for what is no key."""
    found = storage.stat(key)
    if found is None:
        raise NotFound("there is nothing at this address")
    digest = key.removeprefix("blobs/sha256/")
    etag = digest if digest != key else f"{found.size:x}-{found.modified_at:.6f}"
    return Content(found.size, etag, lambda start, end: [Piece(key, start, end)])


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end exclusive), or None where the whole is to be sent: no header, several ranges, not understood.

    Raises Unsatisfiable.
    """
    match = _RANGE.match(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            raise Unsatisfiable
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise Unsatisfiable
    return start, end


def reply(
    request: Request, storage: Storage, content: Content, *, media_type: str, filename: str | None = None
) -> Response:
    """200, 206, 304 or 416; with a `filename` browsers save it instead of showing it."""
    etag = f'"{content.etag}"'
    headers = {"etag": etag, "accept-ranges": "bytes", "cache-control": "private, no-cache"}
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    headers["content-type"] = media_type
    if filename is not None:
        headers["content-disposition"] = f'attachment; filename="{_quoted(filename)}"'
    start, end, status = 0, content.size, 200
    if request.headers.get("if-range") in (None, etag):
        try:
            chosen = parse_range(request.headers.get("range"), content.size)
        except Unsatisfiable:
            return Response(status_code=416, headers={"content-range": f"bytes */{content.size}", "etag": etag})
        if chosen is not None:
            (start, end), status = chosen, 206
            headers["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
    headers["content-length"] = str(end - start)
    return Stream(chunks(storage, content.pieces(start, end)), status_code=status, headers=headers)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in header.split(","))


def _quoted(filename: str) -> str:
    return re.sub(r'[^\x20-\x7e]|["\\]', "_", filename)


_limiter: anyio.CapacityLimiter | None = None


def _readers() -> anyio.CapacityLimiter:
    # Made in the running loop, once for the process.
    global _limiter
    if _limiter is None:
        _limiter = anyio.CapacityLimiter(READERS)
    return _limiter


async def chunks(storage: Storage, pieces: Iterable[Piece]) -> AsyncGenerator[bytes, None]:
    """The bytes of the pieces, read in threads."""
    reading = _read(storage, pieces)
    try:
        while chunk := await to_thread.run_sync(lambda: next(reading, b""), limiter=_readers()):
            yield chunk
    finally:
        # A reader that a gone client left in the middle still holds a file or a connection.
        with CancelScope(shield=True):
            await to_thread.run_sync(reading.close, limiter=_readers())


def _read(storage: Storage, pieces: Iterable[Piece]) -> Generator[bytes, None, None]:
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        with storage.open(piece.key, piece.start, piece.end) as blob:
            while chunk := blob.read(CHUNK_BYTES - size):
                gathered.append(chunk)
                size += len(chunk)
                if size >= CHUNK_BYTES:
                    yield b"".join(gathered)
                    gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
