"""`/healthz`, `/readyz` and `/metrics` of processes without HTTP of their own, and the judgement that all share."""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from condarium import log, metrics
from condarium.errors import ConfigError

#: what a process needs, by name; a check raises when that part is away
Checks = Mapping[str, Callable[[], Any]]

logger = log.get(__name__)


def readiness(checks: Checks) -> tuple[bool, dict[str, Any]]:
    """Asks every check: (all well, `{"status": "ready"|"not-ready", "away": {name: sentence}}`)."""
    away: dict[str, str] = {}
    for name, check in checks.items():
        try:
            check()
        except Exception as error:  # whatever a driver raises, the answer is that the part is away
            away[name] = str(error) or type(error).__name__
    return not away, {"status": "not-ready" if away else "ready", "away": away}


class Health:
    """A small HTTP server in a thread of its own; `start()` binds, `stop()` closes."""

    def __init__(self, *, bind: str, port: int, checks: Checks) -> None:
        self._address = (bind, port)
        self._checks = checks
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port in use (after `start`), also where the setting was 0."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Raises ConfigError when the port is taken."""
        checks = self._checks

        class Handler(_Handler):
            def ready(self) -> tuple[bool, dict[str, Any]]:
                return readiness(checks)

        try:
            self._server = _Server(self._address, Handler)
        except OSError as error:
            host, port = self._address
            raise ConfigError(f"CONDARIUM_HEALTH_PORT: cannot listen on {host}:{port}: {error.strerror}") from error
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        logger.info("health is served", address=f"http://{self._address[0]}:{self.port}")

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A probe that gave up before its answer came is no news."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("a probe was not answered", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server_version = "condarium"
    sys_version = ""
    timeout = 10

    def ready(self) -> tuple[bool, dict[str, Any]]:
        raise NotImplementedError

    def do_GET(self) -> None:
        path = self.path.split("?")[0].rstrip("/")
        if path == "/healthz":
            self._json(200, {"status": "alive"})
        elif path == "/readyz":
            ready, body = self.ready()
            self._json(200 if ready else 503, body)
        elif path == "/metrics":
            body_bytes, content_type = metrics.exposition()
            self._reply(200, body_bytes, content_type)
        else:
            self._json(404, {"status": "error", "message": "there are /healthz, /readyz and /metrics here"})

    do_HEAD = do_GET

    def _json(self, status: int, body: Mapping[str, Any]) -> None:
        self._reply(status, json.dumps(body).encode() + b"\n", "application/json")

    def _reply(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes every few seconds are no news."""
