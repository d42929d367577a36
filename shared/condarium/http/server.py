"""uvicorn, so that it stops within seconds however many streams are open."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from condarium.errors import ConfigError
from condarium.http.sendfile import SendfileProtocol

GRACE_SECONDS = 10
FAREWELL_SECONDS = 0.5


@dataclass(frozen=True)
class Tls:
    """Files of a certificate (with those between it and its authority) and of its private key."""

    certificate: Path
    key: Path

    @classmethod
    def load(cls, certificate: Path | None, key: Path | None, *, names: tuple[str, str]) -> "Tls":
        """Raises ConfigError unless both are there and belong together; `names` are those of their settings."""
        if certificate is None or key is None:
            raise ConfigError(f"{names[0]} and {names[1]} go together: only one of them is set")
        for name, path in zip(names, (certificate, key), strict=True):
            try:
                path.open("rb").close()
            except OSError as error:
                raise ConfigError(f"{name}: cannot read {path}: {error.strerror}") from None
        try:
            # a key with a passphrase would ask the terminal for it
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
        except (ssl.SSLError, ValueError, OSError):
            raise ConfigError(
                f"{names[0]}, {names[1]}: {certificate} and {key} are no PEM certificate and its private key "
                "without a passphrase"
            ) from None
        return cls(certificate, key)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Event streams never end by themselves: uvicorn would wait for them until its grace is over.
        self._on_stop()
        cutting = asyncio.ensure_future(self._cut_what_closes()) if self.config.is_ssl else None
        try:
            await super().shutdown(sockets)
        finally:
            if cutting is not None:
                cutting.cancel()

    async def _cut_what_closes(self) -> None:
        """With TLS a connection that nobody uses waits half a minute for the client's farewell; nothing is lost."""
        while True:
            await asyncio.sleep(FAREWELL_SECONDS)
            for connection in list(self.server_state.connections):
                transport = connection.transport
                if transport is not None and transport.is_closing():
                    transport.abort()


def serve(
    app: ASGIApp, *, host: str, port: int, on_stop: Callable[[], None] = lambda: None, tls: Tls | None = None
) -> None:
    """Serves until SIGTERM or SIGINT; `on_stop` is called in the loop as soon as the stop begins.

    Requests under way get GRACE_SECONDS. Raises OSError when the port is taken.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more after it has stopped: then the caller still has to clean up.
        signal.signal(number, lambda *_: None)
    with listening(host, port) as sock:
        made = server(app, on_stop=on_stop, tls=tls)
        with asyncio.Runner(loop_factory=made.config.get_loop_factory()) as runner:
            runner.run(made.serve(sockets=[sock]))


def server(app: ASGIApp, *, on_stop: Callable[[], None] = lambda: None, tls: Tls | None = None) -> uvicorn.Server:
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
        http=SendfileProtocol,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
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
