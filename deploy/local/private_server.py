"""A private server in the foreground: started and stopped by hand in tests, by the supervisor in `make up`."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

PR_SET_PDEATHSIG = 1


class ServerFailed(RuntimeError):
    """A private server ended or did not answer in time; the message holds the end of its log."""


def _die_with_parent() -> None:
    # A test run that is killed must not leave servers behind. (Looked up before the fork: no import happens here.)
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


_LIBC = ctypes.CDLL(None, use_errno=True)


class PrivateServer:
    """One foreground process with its own directory. Subclasses say how it is prepared, started and asked for life."""

    name = "server"
    stop_signal = signal.SIGTERM
    stop_seconds = 30.0
    start_seconds = 60.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write what the server needs on disk. Harmless when done already."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The foreground command; its process id is that of the server."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The whole environment of the command: nothing is inherited."""
        raise NotImplementedError

    def answers(self) -> bool:
        """True when the server takes requests now."""
        raise NotImplementedError

    def wait_until_ready(self, seconds: float | None = None) -> None:
        """Return when the server answers.

        Raises:
            ServerFailed: it ended, or did not answer in `seconds` (default `start_seconds`).
        """
        until = time.monotonic() + (seconds or self.start_seconds)
        while not self.answers():
            if self._process is not None and self._process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self._process.returncode}:\n{self._log_end()}")
            if time.monotonic() > until:
                raise ServerFailed(f"{self.name} did not answer in time:\n{self._log_end()}")
            time.sleep(0.05)

    def _log_end(self) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

    def start(self) -> Self:
        """Start and wait until it answers; the process dies with this one. Harmless when it runs.

        Raises:
            ServerFailed: it did not come up.
        """
        if self._process is not None and self._process.poll() is None:
            return self
        self.directory.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                cwd="/",
            )
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in order; by force after `stop_seconds`."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self.stop_seconds)
        self.kill()

    def kill(self) -> None:
        """kill -9 for the whole process group, as a power cut would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
