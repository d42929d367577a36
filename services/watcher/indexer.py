"""The child process that reads one part of a channel into the package index. `python -m services.watcher.indexer`

Says `ready`, takes one job on stdin, and ends with it. Speaks JSON lines on stdout:

    {"event": "ready"}
    {"event": "done", "changed", "added", "removed", "records", "skipped", "seconds", "peak_bytes"}
    {"event": "failed", "message", "retry_after"}

Unlike the children of builders it runs nobody's code, and writes rows itself: half a million records do not go through
a pipe and the hub of its parent. Its last statement is fenced by the parent's claim, so that a child whose lease was
lost changes nothing.
"""

from condarium.work.parent import Parent, attach

# First of all: what a library prints while it is imported must not reach the protocol.
PARENT = attach(nice=5) if __name__ == "__main__" else None

import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from dataclasses import asdict  # noqa: E402
from pathlib import Path  # noqa: E402

from condarium import log  # noqa: E402
from condarium.conda.channels import ChannelSettings  # noqa: E402
from condarium.database import Database  # noqa: E402
from condarium.domain.redaction import redact  # noqa: E402
from condarium.errors import CondariumError  # noqa: E402
from services.watcher.channel_part import Job, index  # noqa: E402


def main(parent: Parent) -> None:
    """Serve one job, then end."""
    log.configure("watcher")
    parent.send("ready")
    job = Job(**parent.receive())
    began = time.monotonic()
    database = Database(job.database_url, pool_size=2, application="condarium-indexer")
    secrets = ChannelSettings.from_json(job.settings).secrets()
    try:
        outcome = index(job, database)
    except CondariumError as error:
        parent.send("failed", message=redact(str(error), secrets), retry_after=getattr(error, "retry_after", None))
    except Exception as error:
        sys.stderr.write(redact(traceback.format_exc(), secrets))
        parent.send("failed", message=f"The indexer failed: {type(error).__name__}.", retry_after=None)
    else:
        spent = round(time.monotonic() - began, 3)
        parent.send("done", **asdict(outcome), seconds=spent, peak_bytes=_peak_bytes())


def _peak_bytes() -> int:
    """The most memory that this program had resident; what rusage says includes the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines() if sys.platform == "linux" else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    assert PARENT is not None
    main(PARENT)
    sys.stderr.flush()
    os._exit(0)
