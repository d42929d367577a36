"""The channels that are indexed, and the claims on their parts. What they have is in `packages`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from condarium.database import leases, package_summaries, package_sync
from condarium.database.leases import Claim, Claimable
from condarium.database.tables import (
    Channel,
    ChannelSync,
    Package,
    PackageName,
    PackageRecord,
)
from condarium.domain.package_index import CHANNELDATA

WAITING, SYNCING = "WAITING", "SYNCING"
#: a part that answered, and does not exist in the channel
ABSENT: Mapping[str, Any] = {}

CLAIMABLE = Claimable(
    table=ChannelSync,
    ready=ChannelSync.state == WAITING,
    running=ChannelSync.state == SYNCING,
    # Those that were never read first, then those that are due longest.
    order=(ChannelSync.checked_on.asc().nulls_first(), ChannelSync.id),
    values={"state": SYNCING},
)
_IS_WANTED = and_(ChannelSync.is_indexed, exists().where(Channel.id == ChannelSync.channel_id, Channel.is_indexed))


@dataclass(frozen=True)
class Task:
    """A part of a channel that is ours to read; `seen` is what was read last, `records` how many there were."""

    held: Claim
    channel_id: int
    channel: str
    part: str
    seen: Mapping[str, Any]
    records: int
    failures: int


@dataclass(frozen=True)
class Part:
    """What is known of one part of a channel; `due_on` is when it is read next."""

    part: str
    state: str
    records: int
    is_absent: bool
    checked_on: datetime | None
    changed_on: datetime | None
    due_on: datetime | None
    error: str | None
    failures: int
    failing_since: datetime | None


@dataclass(frozen=True)
class Listed:
    """A channel with its parts; `updated_on` is the moment since which nothing of it was missed, None before that."""

    url: str
    names: int
    parts: Sequence[Part]

    @property
    def updated_on(self) -> datetime | None:
        moments = [part.checked_on for part in self.parts]
        return None if None in moments else min((each for each in moments if each is not None), default=None)


def register(session: Session, urls: Sequence[str], parts: Sequence[str]) -> None:
    """Indexes these parts of these channels from now on, and nothing else."""
    wanted = sorted(set(urls))
    if wanted:
        made = upsert(Channel).values([{"url": url} for url in wanted])
        session.execute(made.on_conflict_do_nothing(index_elements=["url"]))
    ids = session.execute(select(Channel.id).where(Channel.url.in_(wanted)).order_by(Channel.id)).scalars().all()
    rows = [{"channel_id": channel_id, "part": part} for channel_id in ids for part in parts]
    if rows:
        session.execute(upsert(ChannelSync).values(rows).on_conflict_do_nothing(index_elements=["channel_id", "part"]))
    for table, is_one in ((Channel, Channel.url.in_(wanted)), (ChannelSync, ChannelSync.part.in_(parts))):
        session.execute(
            update(table)
            .where(table.is_indexed != is_one)
            .values(is_indexed=is_one)
            .execution_options(synchronize_session=False)
        )


def take(session: Session, *, owner: str, lease_seconds: float) -> Task | None:
    """The part that is due longest, now ours; None when none is."""
    held = leases.claim(session, CLAIMABLE, owner=owner, lease_seconds=lease_seconds, where=_IS_WANTED)
    if held is None:
        return None
    row = session.execute(
        select(ChannelSync, Channel.url)
        .join(Channel, Channel.id == ChannelSync.channel_id)
        .where(ChannelSync.id == held.id)
    ).one()
    sync = row.ChannelSync
    return Task(held, sync.channel_id, row.url, sync.part, sync.seen, sync.records, sync.failures)


def checked(
    session: Session, held: Claim, *, seen: Mapping[str, Any], again_seconds: float, records: int | None = None
) -> None:
    """The part was read, and `records` is what it has now; None when it has what it had. Ends the claim.

    Raises LeaseLost.
    """
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.seen = WAITING, dict(seen)
    row.error, row.failures, row.failing_since = None, 0, None
    row.checked_on = session.execute(select(func.clock_timestamp())).scalar_one()
    if records is not None:
        row.records, row.changed_on = records, row.checked_on
    leases.postpone(session, row, seconds=again_seconds)


def failed(session: Session, held: Claim, *, message: str, again_seconds: float) -> None:
    """The part cannot be read now; what was read of it stays. Ends the claim. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.error, row.failures = WAITING, message, row.failures + 1
    row.failing_since = row.failing_since or session.execute(select(func.clock_timestamp())).scalar_one()
    leases.postpone(session, row, seconds=again_seconds)


def give_back(session: Session, held: Claim) -> None:
    """Ends the claim as if it had not been made. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state = WAITING
    leases.release(row)


def forget(session: Session) -> str | None:
    """Deletes one channel, or part of one, that is no longer indexed, with all it had; its name, None without one."""
    gone = session.execute(
        select(Channel).where(~Channel.is_indexed).order_by(Channel.id).limit(1).with_for_update(skip_locked=True)
    ).scalar_one_or_none()
    if gone is not None:
        _forget_channel(session, gone.id)
        return str(gone.url)
    part = session.execute(
        select(ChannelSync)
        .where(~ChannelSync.is_indexed)
        .order_by(ChannelSync.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).scalar_one_or_none()
    if part is None:
        return None
    if part.part == CHANNELDATA:
        package_summaries.write(session, channel_id=part.channel_id, summaries=())
    else:
        package_sync.remove_part(session, channel_id=part.channel_id, sync_id=part.id)
    session.delete(part)
    return str(part.part)


def _forget_channel(session: Session, channel_id: int) -> None:
    syncs = select(ChannelSync.id).where(ChannelSync.channel_id == channel_id)
    names = select(PackageName.id).where(PackageName.channel_id == channel_id)
    for statement in (
        delete(PackageRecord).where(PackageRecord.sync_id.in_(syncs)),
        delete(Package).where(Package.name_id.in_(names)),
        # What refers to the channel goes with it.
        delete(Channel).where(Channel.id == channel_id),
    ):
        session.execute(statement.execution_options(synchronize_session=False))


def listed(session: Session) -> Sequence[Listed]:
    """The indexed channels by URL, in three statements."""
    rows = session.execute(select(Channel.id, Channel.url).where(Channel.is_indexed).order_by(Channel.url)).all()
    found = [row.id for row in rows]
    parts: dict[int, list[Part]] = {each: [] for each in found}
    syncs = (
        select(ChannelSync).where(ChannelSync.channel_id.in_(found), ChannelSync.is_indexed).order_by(ChannelSync.part)
    )
    for sync in session.execute(syncs).scalars():
        parts[sync.channel_id].append(_part(sync))
    counts = session.execute(
        select(PackageName.channel_id, func.count())
        .where(PackageName.channel_id.in_(found))
        .group_by(PackageName.channel_id)
    )
    names = {row[0]: row[1] for row in counts}
    return [Listed(row.url, names.get(row.id, 0), parts[row.id]) for row in rows]


def updated(session: Session, urls: Collection[str]) -> dict[str, datetime | None]:
    """Since when nothing of these channels was missed; those that are not indexed are left out."""
    read_everywhere = func.bool_and(ChannelSync.checked_on.is_not(None))
    rows = session.execute(
        select(Channel.url, case((read_everywhere, func.min(ChannelSync.checked_on))))
        .join(ChannelSync, and_(ChannelSync.channel_id == Channel.id, ChannelSync.is_indexed))
        .where(Channel.is_indexed, Channel.url.in_(urls))
        .group_by(Channel.url)
    )
    return {row[0]: row[1] for row in rows}


def failing(session: Session) -> int:
    """How many parts of indexed channels cannot be read now."""
    query = select(func.count()).select_from(ChannelSync).where(_IS_WANTED, ChannelSync.error.is_not(None))
    return session.execute(query).scalar_one()


def _part(sync: ChannelSync) -> Part:
    return Part(
        part=sync.part,
        state=sync.state,
        records=sync.records,
        is_absent=sync.checked_on is not None and not sync.seen,
        checked_on=sync.checked_on,
        changed_on=sync.changed_on,
        due_on=sync.not_before,
        error=sync.error,
        failures=sync.failures,
        failing_since=sync.failing_since,
    )
