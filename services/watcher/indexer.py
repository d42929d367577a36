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
from collections.abc import Mapping  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from sqlalchemy.orm import Session  # noqa: E402

from condarium.conda import repodata  # noqa: E402
from condarium.conda.channels import ChannelSettings  # noqa: E402
from condarium.database import Database, channels, package_sync  # noqa: E402
from condarium.database.leases import Claim  # noqa: E402
from condarium.database.package_sync import Changes  # noqa: E402
from condarium.domain.package_index import CHANNELDATA  # noqa: E402
from condarium.domain.redaction import redact  # noqa: E402
from condarium.errors import CondariumError, WorldFault  # noqa: E402

#: the planner is told of the tables' new sizes when more rows than this have changed
MANY = 10_000


@dataclass(frozen=True)
class Job:
    """One part of a channel, claimed: complete in itself. The child reads no setting."""

    database_url: str
    claim: Mapping[str, Any]
    channel_id: int
    channel: str
    part: str
    seen: Mapping[str, Any]
    records: int
    settings: Mapping[str, Any]
    again_seconds: float

    @property
    def held(self) -> Claim:
        return Claim(**self.claim)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Outcome:
    """What became of it; counts of records, or of summaries."""

    changed: bool = False
    added: int = 0
    removed: int = 0
    records: int = 0
    skipped: int = 0


def index(job: Job, database: Database) -> Outcome:
    """Brings the rows of the part up to date, and ends its claim.

    Raises WorldFault, InputFault, LeaseLost, Unavailable: then nothing has changed and the claim still stands.
    """
    settings = ChannelSettings.from_json(job.settings)
    found = repodata.bring(job.channel, job.part, settings, job.seen)
    if isinstance(found, repodata.Brought):
        with found.spool:
            return _write(job, database, found)
    if isinstance(found, repodata.Absent) and job.records:
        raise WorldFault(
            f"{job.channel}/{job.part} is there no more, but had {job.records} records: they stay until it is back."
        )
    seen = found.seen if isinstance(found, repodata.Unchanged) else channels.ABSENT
    with database.transaction() as session:
        channels.checked(session, job.held, seen=seen, again_seconds=job.again_seconds)
    return Outcome(records=job.records)


def _write(job: Job, database: Database, found: repodata.Brought) -> Outcome:
    def finish(session: Session, changes: Changes) -> None:
        if changes.added + changes.removed > MANY:
            package_sync.settle(session)
        records = changes.total if changes else None
        channels.checked(session, job.held, seen=found.seen, again_seconds=job.again_seconds, records=records)

    records = repodata.Records(found)
    if job.part == CHANNELDATA:
        # Read before the transaction: one that stands idle for long is ended by the database.
        summaries = dict(repodata.summaries(found))
        with database.transaction() as session:
            changes = package_sync.write_summaries(session, channel_id=job.channel_id, summaries=summaries.items())
            finish(session, changes)
    else:
        changes = package_sync.write_records(
            database, channel_id=job.channel_id, sync_id=job.held.id, records=records, finish=finish
        )
    return Outcome(bool(changes), changes.added, changes.removed, changes.total, records.skipped)


def main(parent: Parent) -> None:
    """Serve one job, then end."""
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
