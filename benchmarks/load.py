"""Many GETs over a few connections: by `wrk` where it is installed, else by a client of our own in another process.

python -m benchmarks.load URL TOKEN CONNECTIONS COUNT
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import uvloop

CONNECTIONS = 8
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Load:
    """What came of it; `p50` and `p99` in milliseconds."""

    count: int
    per_second: float
    p50: float
    p99: float


def client() -> str:
    return "wrk" if shutil.which("wrk") else "a client in Python"


def warm_up(url: str, token: str = "") -> None:
    """A second of it, for what is made when it is first needed."""
    run(url, token, seconds=1)


def run(url: str, token: str = "", *, seconds: float = 4.0, connections: int = CONNECTIONS) -> Load:
    """Asks `url` over so many connections. Raises RuntimeError when a reply is not 200."""
    if shutil.which("wrk"):
        return _wrk(url, token, seconds, connections)
    count = round(_own(url, token, 100, connections).per_second * seconds)
    return _own(url, token, max(200, count), connections)


def _wrk(url: str, token: str, seconds: float, connections: int) -> Load:
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", *header, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    found = {
        name: float(value) * _UNITS[unit] for name, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", said)
    }
    (per_second,) = re.findall(r"Requests/sec:\s+([\d.]+)", said)
    (count,) = re.findall(r"(\d+) requests in", said)
    return Load(int(count), float(per_second), round(found["50"], 2), round(found["99"], 2))


def _own(url: str, token: str, count: int, connections: int) -> Load:
    command = [sys.executable, "-m", "benchmarks.load", url, token, str(connections), str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Load(**json.loads(done.stdout))


class _Asker(asyncio.Protocol):
    """One connection: the next request goes out when the reply to the last one is whole."""

    def __init__(self, request: bytes, left: list[int], took: list[float], done: "asyncio.Future[None]") -> None:
        self._request, self._left, self._took, self._done = request, left, took, done
        self._missing = -1
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of another family
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or RuntimeError("the server has closed the connection"))

    def _ask(self) -> None:
        if self._left[0] <= 0:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._left[0] -= 1
        self._asked = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            found = re.search(rb"(?i)content-length: (\d+)", head)
            if not head.startswith(b"HTTP/1.1 200") or found is None:
                self._done.set_exception(RuntimeError(head.decode(errors="replace")))
                self._transport.abort()
                return
            self._missing, self._head, data = int(found[1]), b"", body
        self._missing -= len(data)
        if self._missing == 0:
            self._missing = -1
            self._took.append(time.perf_counter() - self._asked)
            self._ask()


async def _ask_all(url: str, token: str, connections: int, count: int) -> Load:
    parts = urlsplit(url)
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    loop = asyncio.get_running_loop()
    left, took = [count], list[float]()
    started = time.perf_counter()
    ends = []
    for _ in range(connections):
        end: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(partial(_Asker, request, left, took, end), str(parts.hostname), parts.port or 80)
        ends.append(end)
    await asyncio.gather(*ends)
    seconds = time.perf_counter() - started
    took.sort()
    at = [round(1000 * took[min(len(took) - 1, int(len(took) * part))], 2) for part in (0.5, 0.99)]
    return Load(count, round(count / seconds, 1), *at)


if __name__ == "__main__":
    address, shown, width, wanted = sys.argv[1:]
    print(json.dumps(uvloop.run(_ask_all(address, shown, int(width), int(wanted))).__dict__))
