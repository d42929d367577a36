"""What reads or deletes many files is done by processes of their own: here it would hold up the heartbeats."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from condarium.database.garbage.expiry import Found
from condarium.errors import WorldFault
from condarium.work.parent import tied


class Aside:
    """A process that answers questions (`services.builder.sweeping.files`), for as long as the block lasts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def __enter__(self) -> Self:
        command = tied([sys.executable, "-m", "services.builder.sweeping.files"])
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environ
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def ask(self, question: Mapping[str, Any]) -> Any:
        """Raises WorldFault."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        answer = json.loads(line) if line else {"fault": "the process that reads it died"}
        if "fault" in answer:
            raise WorldFault(f"the store cannot be read: {answer['fault']}")
        return answer["answer"]

    def processes_in(self, prefix: Path) -> str:
        """Which processes of this host have a file of the prefix open, run out of it or are activated in it."""
        return str(self.ask({"do": "users", "prefix": str(prefix)}))

    def empty(self, trash: Path) -> None:
        """Deletes all that lies there."""
        self.ask({"do": "empty", "trash": str(trash)})

    def clean(
        self, trash: Path, cache: Path, keep: Iterable[str], idle_seconds: float, *, dry_run: bool
    ) -> list[Found]:
        """Empties the trash, and drops from the package cache what no kept lock holds and nobody used for long."""
        question = {
            "do": "clean",
            "trash": str(trash),
            "cache": str(cache),
            "keep": sorted(keep),
            "idle_seconds": idle_seconds,
            "dry_run": dry_run,
        }
        return [Found(each["kind"], each["count"], each["bytes"]) for each in self.ask(question)]
