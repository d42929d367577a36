"""Reads and deletes many files: `python -m services.builder.sweeping.files`, questions on stdin, answers on stdout.

JSON lines; an answer is {"answer": ...}, or {"fault": "..."} when the disk refuses.

{"do": "users", "prefix"}: which processes use the prefix, as a text; empty for none.
{"do": "empty", "trash"}: null.
{"do": "clean", "trash", "cache", "keep", "idle_seconds", "dry_run"}: [{"kind", "count", "bytes"}].
{"do": "verify", ...}: see `checking`.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from condarium.conda.disk import PACKAGES
from condarium.conda.idle import drop_idle_packages
from condarium.work.processes import users_of

#: of the processes that are named
SHOWN = 5


def main() -> None:
    os.nice(10)
    for line in sys.stdin:
        try:
            said: dict[str, Any] = {"answer": answer(json.loads(line))}
        except OSError as error:
            said = {"fault": str(error)}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def answer(question: dict[str, Any]) -> Any:
    match question["do"]:
        case "users":
            found = users_of(Path(question["prefix"]))
            return ", ".join(str(each) for each in found[:SHOWN]) + (" and more" if len(found) > SHOWN else "")
        case "empty":
            return _empty(Path(question["trash"]))
        case "clean":
            return _clean(question)
        case _:
            # it imports rattler, which a sweep does not need
            from services.builder.sweeping import checking

            return checking.check(question)


def _empty(trash: Path) -> None:
    for directory in trash.glob("*"):
        shutil.rmtree(directory, ignore_errors=True)


def _clean(question: dict[str, Any]) -> list[dict[str, Any]]:
    dry_run = bool(question["dry_run"])
    if not dry_run:
        _empty(Path(question["trash"]))
    cache = Path(question["cache"]) / PACKAGES
    count, size = drop_idle_packages(
        cache, keep=frozenset(question["keep"]), older_seconds=question["idle_seconds"], dry_run=dry_run
    )
    return [{"kind": "packages in the cache", "count": count, "bytes": size}]


if __name__ == "__main__":
    main()
