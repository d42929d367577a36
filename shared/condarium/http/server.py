"""uvicorn, so that it stops within seconds however many streams are open."""

import asyncio
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Event streams never end by themselves: uvicorn would wait for them until its grace is over.
        self._on_stop()
        await super().shutdown(sockets)


def serve(app: ASGIApp, *, host: str, port: int, on_stop: Callable[[], None] = lambda: None) -> None:
    """Serves until SIGTERM or SIGINT; `on_stop` is called in the loop as soon as the stop begins.

    Requests under way get GRACE_SECONDS. Raises OSError when the port is taken.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more after it has stopped: then the caller still has to clean up.
        signal.signal(number, lambda *_: None)
    with listening(host, port) as sock:
        made = server(app, on_stop=on_stop)
        with asyncio.Runner(loop_factory=made.config.get_loop_factory()) as runner:
            runner.run(made.serve(sockets=[sock]))


def server(app: ASGIApp, *, on_stop: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """A server for sockets of one's own."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        # Our own `proxies` does it, for the addresses of a setting; uvicorn would trust all of this host.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="on",
        ws="none",
    )
    return _Server(config, on_stop)


def listening(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
