"""Files to clients by the kernel: uvicorn's HTTP protocol with a way past its buffers.

Bytes go from the page cache to the socket without passing through this process. The socket never blocks, so a slow
client holds neither memory nor a thread; a cold file is read in a thread, so it never stops the loop.
"""

import asyncio
import os
from typing import Any, cast

from anyio import CapacityLimiter, to_thread
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: at most so much by one call; a socket takes less
_AT_ONCE = 8 * 1024 * 1024
_THREADS = 16
_KEY = "condarium.sendfile"


class ClientGone(Exception):
    """The connection broke; nobody is there to be told."""


class SendfileProtocol(HttpToolsProtocol):
    """Offers `sender` to applications, on connections without TLS."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.scheme == "http" and hasattr(os, "sendfile"):
            # the application's task has not begun yet
            cast(Scope, self.scope)[_KEY] = Sender(self.cycle, self.loop)


def sender(scope: Scope) -> "Sender | None":
    """None where the server or the connection cannot do it."""
    found: Sender | None = scope.get(_KEY)
    return found


class Sender:
    """Sends parts of files as the body of one reply, whose head is sent and has a Content-Length."""

    def __init__(self, cycle: RequestResponseCycle, loop: asyncio.AbstractEventLoop) -> None:
        self._cycle = cycle
        self._loop = loop

    async def send(self, file: int, start: int, end: int) -> None:
        """Bytes [start, end) of the open file.

        Raises ClientGone, and EOFError when the file ends before: the reply can only be broken off then.
        """
        await self._head_is_out()
        if self._cycle.disconnected:
            raise ClientGone
        # a descriptor of our own: the loop watches the other one already
        socket = os.dup(self._cycle.transport.get_extra_info("socket").fileno())
        try:
            at = start
            while at < end:
                try:
                    sent = await to_thread.run_sync(
                        os.sendfile, socket, file, at, min(end - at, _AT_ONCE), limiter=_threads()
                    )
                except BlockingIOError:
                    await self._writable(socket)
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    raise ClientGone from None
                if sent == 0:
                    raise EOFError(f"the file ended {end - at} bytes early")
                at += sent
        finally:
            os.close(socket)
        # what uvicorn would have counted
        self._cycle.expected_content_length -= end - start

    def abort(self) -> None:
        """Breaks the connection."""
        self._cycle.transport.abort()

    async def _head_is_out(self) -> None:
        """What the transport still holds comes before the file."""
        wait = 0.0
        while self._cycle.transport.get_write_buffer_size() > 0 and not self._cycle.disconnected:
            await asyncio.sleep(wait)
            wait = min(0.05, wait + 0.001)

    async def _writable(self, socket: int) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(socket, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_writer(socket)


_limiter: Any = None


def _threads() -> CapacityLimiter:
    # made in the running loop, once for the process
    global _limiter
    if _limiter is None:
        _limiter = CapacityLimiter(_THREADS)
    found: CapacityLimiter = _limiter
    return found
