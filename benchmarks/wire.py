"""Counts what a client fetches: a pipe between it and a server on loopback that lets every byte through."""

import re
import socket
import threading
from types import TracebackType

_CHUNK = 1 << 18
_REQUEST = re.compile(rb"^(?:GET|HEAD|POST) \S+ HTTP/1\.1\r\n", re.MULTILINE)


class Wire:
    """`address` is host:port to go by; `requests` and `received` (bytes of replies, headers included) since `reset`."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._counting = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._counting:
            self.requests, self.received = 0, 0

    def __enter__(self) -> "Wire":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target, target is server), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        try:
            while chunk := source.recv(_CHUNK):
                with self._counting:
                    if asking:
                        self.requests += len(_REQUEST.findall(chunk))
                    else:
                        self.received += len(chunk)
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()
