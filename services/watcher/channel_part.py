"""Bringing the rows of one part of a channel up to date: what the indexer does with its job."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from sqlalchemy.orm import Session

from condarium.conda import repodata
from condarium.conda.channels import ChannelSettings
from condarium.conda.repodata import Absent, Brought, Unchanged
from condarium.conda.repodata import shards as repodata_shards
from condarium.conda.repodata.shards import Shards
from condarium.database import Database, channels, package_shards, package_summaries, package_sync
from condarium.database.leases import Claim
from condarium.database.package_sync import Changes
from condarium.domain.package_index import CHANNELDATA
from condarium.errors import WorldFault

#: the planner is told of the tables' new sizes when more rows than this have changed
MANY = 10_000
#: more changed names than this are read out of the file that has everything
MOST_SHARDS = 500


@dataclass(frozen=True)
class Job:
    """One part of a channel, claimed: complete in itself. The child reads no setting.

    `seen` is what was read last: the validators of the file, and under `shards` those of the list of shards that was
    noted, with whether it is `trusted`.
    """

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
    return _Part(job, database).index()


class _Part:
    def __init__(self, job: Job, database: Database) -> None:
        self.job, self.database = job, database
        self.settings = ChannelSettings.from_json(job.settings)

    def index(self) -> Outcome:
        job = self.job
        if job.seen.get("shards", {}).get("trusted"):
            outcome = self._by_shards()
            if outcome is not None:
                return outcome
        found = repodata.bring(job.channel, job.part, self.settings, job.seen)
        if isinstance(found, Brought):
            with found.spool:
                return self._summaries(found) if job.part == CHANNELDATA else self._everything(found)
        if isinstance(found, Absent):
            if job.records:
                raise WorldFault(
                    f"{job.channel}/{job.part} is there no more, but had {job.records} records: they stay until it is "
                    "back."
                )
            return self._unchanged(channels.ABSENT)
        return self._unchanged(self._with_shards(found.seen))

    def _unchanged(self, seen: Mapping[str, Any]) -> Outcome:
        with self.database.transaction() as session:
            channels.checked(session, self.job.held, seen=seen, again_seconds=self.job.again_seconds)
        return Outcome(records=self.job.records)

    def _with_shards(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        """`seen`, with what was seen of shards before."""
        shards = self.job.seen.get("shards")
        return {**seen, "shards": shards} if shards else dict(seen)

    def _by_shards(self) -> Outcome | None:
        """Only the names whose shards differ; None when that is not worth it, or there is no list any more."""
        job = self.job
        found = repodata_shards.bring_list(job.channel, job.part, self.settings, job.seen["shards"])
        if isinstance(found, Absent):
            return None
        if isinstance(found, Unchanged):
            return self._unchanged(self.job.seen)
        with self.database.transaction() as session:
            noted = package_shards.noted(session, job.held.id)
        digests = found.digests
        names = {name for name in digests.keys() | noted.keys() if digests.get(name) != noted.get(name)}
        if len(names) > MOST_SHARDS:
            return None
        records = list(repodata_shards.records(found, names, self.settings))
        seen = {**job.seen, "shards": {**found.seen, "trusted": True}}
        changes = package_sync.write_records(
            self.database,
            channel_id=job.channel_id,
            sync_id=job.held.id,
            records=records,
            finish=self._finish(seen, lambda session: package_shards.note(session, job.held.id, digests)),
            names=names,
            count=job.records,
        )
        return Outcome(bool(changes), changes.added, changes.removed, changes.total)

    def _everything(self, found: Brought) -> Outcome:
        job = self.job
        seen, note = self._note_shards(found)
        records = repodata.Records(found)
        changes = package_sync.write_records(
            self.database,
            channel_id=job.channel_id,
            sync_id=job.held.id,
            records=records,
            finish=self._finish(seen, note),
        )
        return Outcome(bool(changes), changes.added, changes.removed, changes.total, records.skipped)

    def _note_shards(self, found: Brought) -> tuple[dict[str, Any], Callable[[Session], None]]:
        """What to remember of the channel's shards, now that the file of everything is read.

        A list is trusted once a file was read that is no older than the list: then nothing that the list has is
        missing, and all that changes later shows in a newer list.
        """
        job = self.job

        def nothing(session: Session) -> None:
            pass

        if not found.seen.get("last_modified"):
            return dict(found.seen), nothing
        try:
            shards = repodata_shards.bring_list(job.channel, job.part, self.settings, {})
        except Exception:
            shards = Absent()
        if not isinstance(shards, Shards):
            return dict(found.seen), nothing
        if _no_older(found.seen, shards.seen):
            trusted, kept = True, shards
        elif _no_older(found.seen, job.seen.get("shards", {})):
            return {**found.seen, "shards": {**job.seen["shards"], "trusted": True}}, nothing
        else:
            trusted, kept = False, shards
        seen = {**found.seen, "shards": {**kept.seen, "trusted": trusted}}
        return seen, lambda session: package_shards.note(session, job.held.id, kept.digests)

    def _summaries(self, found: Brought) -> Outcome:
        # Read before the transaction: one that stands idle for long is ended by the database.
        summaries = dict(repodata.summaries(found))
        with self.database.transaction() as session:
            changes = package_summaries.write(session, channel_id=self.job.channel_id, summaries=summaries.items())
            self._finish(found.seen, lambda session: None)(session, changes)
        return Outcome(bool(changes), changes.added, changes.removed, changes.total)

    def _finish(self, seen: Mapping[str, Any], note: Callable[[Session], None]) -> Callable[[Session, Changes], None]:
        def finish(session: Session, changes: Changes) -> None:
            note(session)
            if changes.added + changes.removed > MANY:
                package_sync.settle(session)
            records = changes.total if changes else None
            channels.checked(session, self.job.held, seen=seen, again_seconds=self.job.again_seconds, records=records)

        return finish


def _no_older(everything: Mapping[str, Any], shards: Mapping[str, Any]) -> bool:
    """By what their server says; False where it does not say."""
    try:
        newer, older = (parsedate_to_datetime(str(each["last_modified"])) for each in (everything, shards))
    except (KeyError, ValueError):
        return False
    return newer >= older
