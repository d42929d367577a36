"""Whether storage holds what the rows say: what is damaged or away is forgotten, so that it is made again.

The bytes are read by a process of its own: hashing them here would hold up the heartbeats of this one.
"""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from condarium import log
from condarium.database.garbage import damaged, references
from condarium.domain.archive import joined_prefix
from condarium.domain.retention import Retention
from condarium.errors import ConfigError, WorldFault
from condarium.storage import blob_key
from condarium.work.parent import tied
from condarium.work.sweeper import Beat
from services.packager.base_image import store_base
from services.packager.handlers import Work

logger = log.get(__name__)

#: blobs that are read between two heartbeats
BATCH = 50
#: of the bad ones that a report names
SHOWN = 100


def verify(work: Work, environ: Mapping[str, str], options: Mapping[str, Any], beat: Beat) -> dict[str, Any]:
    """Reads every blob that a row names, or the part `sample` of them; `repair` forgets what is not as it says.

    Raises LeaseLost, WorldFault, Unavailable.
    """
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
    repaired = _repair(work, bad, beat) if options.get("repair") else 0
    return {"checked": len(digests), "bad": bad[:SHOWN], "bad_count": len(bad), "repaired": repaired}


def _repair(work: Work, bad: list[dict[str, Any]], beat: Beat) -> int:
    """How many of them are mended; in the others `base_images` says who has to be brought again."""
    of_bases: list[dict[str, Any]] = []
    locks: set[str] = set()
    for each in bad:
        beat()
        work.storage.delete(blob_key(each["digest"]))
        with work.database.transaction() as session:
            if names := damaged.bases(session, each["digest"]):
                each["base_images"] = names
                of_bases.append(each)
            else:
                locks.update(damaged.forget(session, each["digest"]))
    for lock_hash in sorted(locks):
        # Put together out of the damaged members, perhaps: they have the right key and the right size.
        for entry in list(work.storage.list(joined_prefix(lock_hash))):
            work.storage.delete(entry.key)
    return len(bad) - len(of_bases) + _bring_bases(work, of_bases)


def _bring_bases(work: Work, missing: Sequence[dict[str, Any]]) -> int:
    """Puts the packager's own base image again; how many of the missing layers are back. Images that stand on them
    keep their rows: the same bytes are all that they lack."""
    if not missing or work.settings.base_image is None:
        return 0
    try:
        store_base(work.database, work.storage, work.settings.base_image)
    except ConfigError as error:
        logger.warning("the base image cannot be stored again", reason=str(error))
    back = [each for each in missing if work.storage.stat(blob_key(each["digest"])) is not None]
    for each in back:
        del each["base_images"]
    return len(back)


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
