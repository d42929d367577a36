"""What the tests of our own clients share: the command line as a process, with a home of its own."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from condarium.cli.main import main

ROOT = Path(__file__).parents[2]


class OwnThread:
    """A stream that takes what this thread writes; the gateway of the test, in another one, goes on as before."""

    def __init__(self, before: Any) -> None:
        self._owner, self._before = threading.get_ident(), before
        self._own = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own if threading.get_ident() == self._owner else self._before, name)

    @property
    def text(self) -> str:
        written: bytes = self._own.buffer.getvalue()  # type: ignore[attr-defined]
        return written.decode()


@dataclass
class CommandLine:
    """Calls `condarium`; `environ` is all that it sees of the environment besides PATH.

    As a process; with `inside` within this one, which is ten times faster, for what starts no process itself.
    """

    environ: dict[str, str] = field(default_factory=dict)
    inside: bool = False

    def __call__(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return (
            self._call(*arguments, stdin=stdin, **environ)
            if self.inside
            else self.process(*arguments, stdin=stdin, **environ)
        )

    def _call(self, *arguments: str, stdin: str, **environ: str) -> subprocess.CompletedProcess[str]:
        out, said = OwnThread(sys.stdout), OwnThread(sys.stderr)
        seen = {"PATH": os.environ["PATH"], "TERM": "dumb"} | self.environ | environ
        with (
            mock.patch.dict(os.environ, seen, clear=True),
            mock.patch.object(sys, "argv", ["condarium", *arguments]),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            redirect_stdout(out),  # type: ignore[type-var]
            redirect_stderr(said),  # type: ignore[type-var]
            pytest.raises(SystemExit) as ended,
        ):
            main()
        texts = [stream.text for stream in (out, said)]
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), *texts)

    def process(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """As a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "condarium.cli.main", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "TERM": "dumb", "PYTHONPATH": "shared"} | self.environ | environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ok(self, *arguments: str, stdin: str = "", **environ: str) -> str:
        """What it printed. Fails the test unless it ended with 0."""
        done = self(*arguments, stdin=stdin, **environ)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def json(self, *arguments: str, stdin: str = "", **environ: str) -> Any:
        """The one document that it printed."""
        return json.loads(self.ok(*arguments, "--json", stdin=stdin, **environ))


@pytest.fixture
def command_line(tmp_path: Path) -> Callable[..., CommandLine]:
    """Makes one for a server."""

    def make(url: str, token: str = "", *, inside: bool = False) -> CommandLine:
        home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": f"{tmp_path}/config", "XDG_CACHE_HOME": f"{tmp_path}/cache"}
        return CommandLine(home | {"CONDARIUM_API_URL": url} | ({"CONDARIUM_TOKEN": token} if token else {}), inside)

    return make
