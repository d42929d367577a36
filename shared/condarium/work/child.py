"""A child process as its parent sees it: JSON lines both ways, and nothing left behind.

CPU and memory of strangers' packages belong into a process of their own, because a nameko parent must keep its hub
running and because only a process can be stopped for sure. The child is a program (`python -m ...`), started by
`subprocess`, or forked by a `nursery` that was, never by a fork of the parent; it leads its own process group, dies
with its parent, and gets an environment of allow-listed names. `parent.py` is the other side.

Works alike in plain threads and under eventlet's monkey-patching: both pipes are one socket pair, and sockets are
what eventlet makes green. With plain threads, start a child in a thread that outlives it: the kernel's
parent-death signal goes by thread.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from condarium.errors import WorldFault

Message = dict[str, Any]

#: what a child may see of its parent's environment; no setting of Condarium is among them
ALLOWED = frozenset(
    {"PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR"}
)
_FOREVER = 86400.0
_CHUNK = 1 << 18


class ChildFault(WorldFault):
    """The child died or broke the protocol; the same work may succeed in a new one."""

    code = "child-fault"


def environment(environ: Mapping[str, str], *, names: Iterable[str] = (), **more: str) -> dict[str, str]:
    """The child's environment: the allowed names and `names` out of `environ`, and `more`."""
    kept = ALLOWED | set(names)
    return {name: value for name, value in environ.items() if name in kept} | {"PYTHONUNBUFFERED": "1"} | more


class Process(Protocol):
    """The leader of a process group, started with one descriptor as its stdin and stdout."""

    pid: int

    def runs(self) -> bool:
        """Whether it has not ended yet. Does not reap. Raises ChildProcessError when it is reaped already."""

    def kill_group(self) -> None:
        """SIGKILL, also when the leader has ended by itself; only before `reap`."""

    def reap(self) -> int:
        """Its exit status once it has ended, as `subprocess` counts; from then on its id is free."""


class Spawned:
    """A program of its own."""

    def __init__(
        self, argv: Sequence[str], descriptor: int, *, environ: Mapping[str, str], directory: str | None = None
    ) -> None:
        try:
            self._process = subprocess.Popen(
                list(argv),
                stdin=descriptor,
                stdout=descriptor,
                env=dict(environ),
                cwd=directory,
                umask=0o022,
                start_new_session=True,
            )
        except OSError as error:
            raise ChildFault(f"{argv[0]} could not be started: {error.strerror}") from error
        self.pid = self._process.pid

    def runs(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def kill_group(self) -> None:
        # until it is reaped even a dead leader holds its id, so this cannot hit another group
        os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        return self._process.wait()


class Child:
    """One child process. One thread receives, any thread may send or kill."""

    def __init__(self, start: Callable[[int], Process], *, line_limit: int = 64 << 20) -> None:
        """`start` makes the process with the descriptor it is given as stdin and stdout (`Nursery.fork`, or see
        `spawned`); it says `{"event": "ready"}` when it is. `line_limit` in bytes. Raises ChildFault.
        """
        self._line_limit = line_limit
        self._buffer = bytearray()
        self._searched = 0
        self.returncode: int | None = None
        self._reaping = threading.Lock()
        ours, theirs = socket.socketpair()
        # a green socket pair is non-blocking at both ends, and a child expects ordinary pipes
        os.set_blocking(theirs.fileno(), True)
        try:
            self._process = start(theirs.fileno())
        except ChildFault:
            ours.close()
            raise
        finally:
            theirs.close()
        self._reader = ours
        # two objects of one socket must both have a timeout: it makes the shared descriptor non-blocking
        ours.settimeout(_FOREVER)
        self._writer = ours.dup()
        self._writer.settimeout(60.0)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the program still runs. Does not reap: only `kill` does, so the group's id stays ours until then."""
        if self.returncode is not None:
            return False
        try:
            return self._process.runs()
        except ChildProcessError:
            return False  # another thread has just reaped it

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises ChildFault when the child is gone or does not read for a minute."""
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            self._writer.sendall(line)
        except OSError as error:
            raise ChildFault(f"the child process {self.pid} takes no messages: {error}") from error

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message; None once the child has closed its side (it is ending or dead: `kill` reaps it).

        Raises TimeoutError when no whole message came within `timeout` seconds (what came of it is kept), and
        ChildFault when a line is too long or no JSON object; the child is then killed.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            line = self._line()
            if len(self._buffer if line is None else line) > self._line_limit:
                raise self._broken(f"sent a line of more than {self._line_limit} bytes")
            if line is not None:
                return self._parse(line)
            left = _FOREVER if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._reader.settimeout(left)
            try:
                chunk = self._reader.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError:
                chunk = b""
            if not chunk:
                return None
            self._buffer += chunk

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Raises ChildFault unless the child says that it is ready within `timeout` seconds; it is then killed."""
        try:
            message = self.receive(timeout)
        except TimeoutError:
            raise self._broken(f"was not ready after {timeout:g} s") from None
        if message is None:
            raise self._broken("died while it started")
        if message.get("event") != "ready":
            raise self._broken(f"said {message.get('event')!r} before it was ready")

    def kill(self) -> int:
        """SIGKILL to the whole group, also when its leader has ended by itself; reaps it. Returns the exit status.

        Safe to call twice, and from several threads.
        """
        with self._reaping:
            if self.returncode is not None:
                return self.returncode
            self._process.kill_group()
            pause = 0.001
            while self._process.runs():
                time.sleep(pause)
                pause = min(0.05, pause * 2)
            self.returncode = self._process.reap()
            for end in (self._reader, self._writer):
                end.close()
            return self.returncode

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def _parse(self, line: bytes) -> Message:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise self._broken(f"sent what is no JSON object: {line[:80]!r}")
        return message

    def _broken(self, what: str) -> ChildFault:
        pid = self.pid
        status = self.kill()
        ended = f" (exit status {status})" if status != -signal.SIGKILL else ""
        return ChildFault(f"the child process {pid} {what}{ended}")


def spawned(
    argv: Sequence[str], *, environ: Mapping[str, str], directory: str | None = None, line_limit: int = 64 << 20
) -> Child:
    """A child that is the program `argv`; returns at once. Raises ChildFault when it cannot be started."""

    def start(descriptor: int) -> Process:
        return Spawned(argv, descriptor, environ=environ, directory=directory)

    return Child(start, line_limit=line_limit)


class Warm:
    """Keeps one child started ahead, so that work does not wait for imports."""

    def __init__(self, start: Callable[[], Child]) -> None:
        self._start = start
        self._spare: Child | None = None
        self._ready = False

    def prepare(self) -> None:
        """Starts the spare unless there is one; returns at once."""
        if self._spare is None or not self._spare.alive:
            self.close()
            self._spare = self._start()
            self._ready = False

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Returns when the spare has started, at once for one that has. Raises ChildFault."""
        self.prepare()
        if self._spare is not None and not self._ready:
            self._spare.wait_ready(timeout)
            self._ready = True

    def take(self, timeout: float = 60.0) -> Child:
        """A child that is ready; it is the caller's to kill. Raises ChildFault."""
        self.wait_ready(timeout)
        child, self._spare = self._spare, None
        assert child is not None
        return child

    def close(self) -> None:
        """Kills the spare."""
        if self._spare is not None:
            self._spare.kill()
            self._spare = None
