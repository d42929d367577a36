"""What the tests of our own clients share: the command line as a process, with a home of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class CommandLine:
    """Calls `condarium`; `environ` is all that it sees of the environment besides PATH."""

    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
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

    def make(url: str, token: str = "") -> CommandLine:
        home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": f"{tmp_path}/config", "XDG_CACHE_HOME": f"{tmp_path}/cache"}
        return CommandLine(home | {"CONDARIUM_API_URL": url} | ({"CONDARIUM_TOKEN": token} if token else {}))

    return make
