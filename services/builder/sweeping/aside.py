"""What reads or deletes many files is done by processes of their own: here it would hold up the heartbeats."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from condarium.database.garbage.expiry import Found
from condarium.errors import WorldFault
from condarium.work.parent import tied


def ask(environ: Mapping[str, str], question: Mapping[str, Any]) -> Any:
    """The answer of `services.builder.sweeping.files`. Raises WorldFault."""
    command = tied([sys.executable, "-m", "services.builder.sweeping.files"])
    done = subprocess.run(
        command, input=json.dumps(question), capture_output=True, text=True, env=dict(environ), check=False
    )
    if done.returncode:
        raise WorldFault(f"the store cannot be read: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def processes_in(environ: Mapping[str, str], prefix: Path) -> str:
    """Which processes of this host have a file of the prefix open, run out of it or are activated in it."""
    return str(ask(environ, {"do": "users", "prefix": str(prefix)}))


def empty(environ: Mapping[str, str], trash: Path) -> None:
    ask(environ, {"do": "empty", "trash": str(trash)})


def clean(
    environ: Mapping[str, str], trash: Path, cache: Path, keep: Iterable[str], idle_seconds: float, *, dry_run: bool
) -> list[Found]:
    """Empties the trash, and drops from the package cache what no kept lock holds and nobody has used for long."""
    question = {
        "do": "clean",
        "trash": str(trash),
        "cache": str(cache),
        "keep": sorted(keep),
        "idle_seconds": idle_seconds,
        "dry_run": dry_run,
    }
    answer = ask(environ, question)
    return [Found(each["kind"], each["count"], each["bytes"]) for each in answer]
