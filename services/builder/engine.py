"""The child process of a build: solves, fetches, links. `python -m services.builder.engine`

With `--nursery` it is the process that such children are forked from (`condarium.work.nursery`).
Started ahead of work with everything imported; says `ready`, takes one job (`job.py`) on stdin, and ends with it.
Speaks JSON lines on stdout:

    {"event": "ready"}
    {"event": "log", "text"}
    {"event": "phase", "name", "state": "started" | "finished", "seconds"}   solve or lockfile, pypi, fetch, link
    {"event": "progress", "done", "total", "bytes", "bytes_total"}       packages fetched
    {"event": "solved", "locks": {platform: lock}}                       before anything is linked
    {"event": "linked", "lock_hash", "prefix", "size", "links", "reused"}   the end; null where no platform is ours
    {"event": "answered", "repodata", "unchanged"}                       the end of a job that only solves
    {"event": "failed", "kind": "input" | "world" | "internal", "reason", "message", "retry_after"}   the end
"""

import sys

from condarium.work.parent import Parent, attach

NURSERY = "--nursery"
# First of all: what a library prints while it is imported must not reach the protocol.
PARENT = attach() if __name__ == "__main__" and NURSERY not in sys.argv else None

import asyncio  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import shutil  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from condarium.conda.channels import ChannelSettings  # noqa: E402
from condarium.conda.disk import exclusive  # noqa: E402
from condarium.domain.redaction import redact  # noqa: E402
from condarium.errors import CondariumError, InputFault, WorldFault  # noqa: E402
from condarium.work import nursery  # noqa: E402
from services.builder.engine_phases import Engine  # noqa: E402
from services.builder.engine_report import Report  # noqa: E402
from services.builder.job import STAGING_LOCK, Job  # noqa: E402

#: how long a failed build waits for what still writes into its staging directory
TIDY_SECONDS = 5.0


def main(parent: Parent) -> None:
    """Serve one job, then end; the process is never used twice, so that nothing of a build is left for the next."""
    os.umask(0o022)
    parent.send("ready")
    job = Job.from_json(parent.receive())
    settings = ChannelSettings.from_json(job.channels).with_index(job.pip_index_url)
    report = Report(parent.send, settings.secrets())
    try:
        _limit(job)
        # Nobody's any more: of a database that was restored or made anew, which gives the same numbers again.
        shutil.rmtree(job.staging, ignore_errors=True)
        with exclusive(job.staging / STAGING_LOCK):
            os.environ["TMPDIR"] = str(job.staging)
            try:
                tell = asyncio.run(_work(job, settings, report))
            finally:
                _remove(job.staging)
    except Exception as error:
        report.failed(*_judge(error, settings.secrets()))
        return
    tell()


async def _work(job: Job, settings: ChannelSettings, report: Report) -> Callable[[], None]:
    """Does the job; returns what is said of it at the end, once its traces are gone."""
    engine = Engine(job, settings, report)
    if job.only_solve:
        answer = await engine.answer()
        return lambda: report.answered(answer)
    outcome = await engine.build()
    return lambda: report.linked(outcome)


def _remove(staging: Path) -> None:
    """After a failure py-rattler's threads may still write there for a moment; the housekeeping takes what is left."""
    until = time.monotonic() + TIDY_SECONDS
    while True:
        shutil.rmtree(staging, ignore_errors=True)
        if not staging.exists() or time.monotonic() > until:
            return
        time.sleep(0.02)


def _limit(job: Job) -> None:
    if job.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))


def _judge(error: Exception, secrets: tuple[str, ...]) -> tuple[str, str, str, float | None]:
    """Kind, reason, message and seconds to wait, for the `failed` message."""
    if isinstance(error, InputFault):
        return "input", error.reason, str(error), None
    if isinstance(error, WorldFault):
        return "world", error.code, str(error), error.retry_after
    if isinstance(error, MemoryError):
        return "world", "memory", "The build needs more memory than it may have (CONDARIUM_BUILDER_MEMORY_BYTES).", None
    if isinstance(error, OSError):
        return "world", "io", f"{error.strerror or error} ({error.filename})", None
    if isinstance(error, CondariumError):
        return "internal", error.code, str(error), None
    sys.stderr.write(redact(traceback.format_exc(), secrets))
    return "internal", "internal", f"The build engine failed: {type(error).__name__}: {error}", None


if __name__ == "__main__":
    if PARENT is None:
        nursery.serve(main)
    else:
        main(PARENT)
    sys.stderr.flush()
    # Threads of py-rattler may still run; an orderly interpreter end would wait for them, or crash.
    os._exit(0)
