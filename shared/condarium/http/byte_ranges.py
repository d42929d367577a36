"""Bytes out of storage as replies: ranges, conditions, HEAD; a few MiB of memory whatever the size."""

import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from dataclasses import dataclass
from typing import BinaryIO

import anyio
from anyio import CancelScope, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from condarium.errors import NotFound
from condarium.http import sendfile
from condarium.http.sendfile import ClientGone, Sender
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
    return Pieced(storage, content.pieces(start, end), status_code=status, headers=headers)


class Pieced(Stream):
    """The pieces one after the other: by the kernel out of files where server and connection can, else through here."""

    def __init__(self, storage: Storage, pieces: Iterable[Piece], *, status_code: int, headers: dict[str, str]) -> None:
        self._storage = storage
        self._pieces = list(pieces)
        super().__init__(chunks(storage, self._pieces), status_code=status_code, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kernel = sendfile.sender(scope)
        first = None
        if kernel is not None and scope["method"] != "HEAD" and self._pieces:
            first = await to_thread.run_sync(_open_file, self._storage, self._pieces[0].key, limiter=_readers())
        if kernel is None or first is None:
            await super().__call__(scope, receive, send)
            return
        try:
            await self._by_kernel(kernel, first, send)
        except ClientGone:
            kernel.abort()
            while (await receive())["type"] != "http.disconnect":
                pass

    async def _by_kernel(self, kernel: Sender, first: BinaryIO, send: Send) -> None:
        opened: BinaryIO | None = first
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for piece in self._pieces:
                if opened is None:
                    opened = await to_thread.run_sync(_open_file, self._storage, piece.key, limiter=_readers())
                if opened is None:
                    raise NotFound(f"{piece.key} is not stored any more")
                await kernel.send(opened.fileno(), piece.start, piece.end)
                opened.close()
                opened = None
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if opened is not None:
                opened.close()


def _open_file(storage: Storage, key: str) -> BinaryIO | None:
    """None where the storage has no files on this host, or not this one."""
    path = storage.path(key)
    try:
        return path.open("rb", buffering=0) if path is not None else None
    except OSError:
        return None


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
