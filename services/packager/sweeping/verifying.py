"""Whether storage holds what the rows say: what is damaged or away is forgotten, so that it is made again.

The bytes are read by a process of its own: hashing them here would hold up the heartbeats of this one.
"""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Self

from condarium.database.garbage import blobs, references
from condarium.domain.retention import Retention
from condarium.errors import WorldFault
from condarium.storage import blob_key
from condarium.work.parent import tied
from condarium.work.sweeper import Beat
from services.packager.handlers import Work

#: blobs that are read between two heartbeats
BATCH = 50
#: of the bad ones that a report names
SHOWN = 100


def verify(work: Work, environ: Mapping[str, str], options: Mapping[str, Any], beat: Beat) -> dict[str, Any]:
    """Reads every blob that a row names, or the part `sample` of them; `repair` forgets what is not as it says."""
    with work.database.transaction() as session:
        references.gather(session, Retention.of(_FOR_EVER))
        digests = references.named_digests(session)
    sample = float(options.get("sample") or 1.0)
    if sample < 1.0:
        digests = sorted(random.sample(digests, max(1, round(len(digests) * sample)))) if digests else []
    bad: list[dict[str, Any]] = []
    with _Reader(work.settings.storage_url, environ) as reader:
        for batch in _batches(digests):
            beat()
            bad += reader.read(batch)
    repaired = 0
    for each in bad if options.get("repair") else ():
        work.storage.delete(blob_key(each["digest"]))
        with work.database.transaction() as session:
            blobs.forget_missing(session, each["digest"])
        repaired += 1
    return {"checked": len(digests), "bad": bad[:SHOWN], "bad_count": len(bad), "repaired": repaired}


_FOR_EVER = {
    "garbage": True,
    "garbage_grace_seconds": 0,
    "garbage_interval_seconds": 0,
    "keep_generations": 0,
    **dict.fromkeys(("keep_on_demand_days", "keep_caches_days", "keep_logs_days", "keep_events_days"), 36500),
}


def _batches(digests: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(digests), BATCH):
        yield digests[start : start + BATCH]


class _Reader:
    """A process that reads blobs (`services.packager.sweeping.reading`), for as long as the block lasts."""

    def __init__(self, storage_url: str, environ: Mapping[str, str]) -> None:
        self._storage_url, self._environ = storage_url, dict(environ)

    def __enter__(self) -> Self:
        command = tied([sys.executable, "-m", "services.packager.sweeping.reading"])
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

    def read(self, digests: list[str]) -> list[dict[str, Any]]:
        """Those that are missing or damaged, and how. Raises WorldFault."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The address of storage has its password: it goes through the pipe.
        question = json.dumps({"storage_url": self._storage_url, "digests": digests})
        try:
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"fault": "the process that reads it died"}
        if "fault" in answer:
            raise WorldFault(f"storage cannot be read: {answer['fault']}")
        found: list[dict[str, Any]] = answer["answer"]
        return found
