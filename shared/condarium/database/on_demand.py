"""Questions about images by packages: which build answers a pull, who had builds started, what is still pulled."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from condarium.database.tables import (
    Build,
    Channel,
    ChannelSync,
    Environment,
    Image,
    LockPlatform,
    LockRow,
    OnDemandPull,
    OnDemandStart,
    PackageName,
)
from condarium.domain.build import EXCLUDE_NEWER, Status

#: what `on_demand_builds_per_hour` counts in
WINDOW = timedelta(hours=1)
#: how exactly the last pull is known
PULL_HOUR = timedelta(hours=1)

_DAY: ColumnElement[str] = Build.settings[EXCLUDE_NEWER].astext


@dataclass(frozen=True)
class Known:
    """A build; `age` in seconds since it ended, None while it has not."""

    id: int
    status: Status
    scheduled_on: datetime
    age: float | None


@dataclass(frozen=True)
class Standing:
    """Of one day, or of now: the build that is served, and the newest one, whatever became of it."""

    completed: Known | None = None
    newest: Known | None = None


def standing(session: Session, environment: Environment, day: date | None) -> Standing:
    """The builds that answer for `day`; None is now, whose completed build is the environment's current one."""
    newest = session.execute(_known(environment, day).limit(1)).one_or_none()
    if newest is None:
        return Standing()
    done = _known(environment, day).where(Build.status == Status.COMPLETED)
    if day is None and environment.current_build_id is not None:
        done = done.where(Build.id == environment.current_build_id)
    completed = session.execute(done.limit(1)).one_or_none()
    return Standing(_read(completed) if completed else None, _read(newest))


def _known(environment: Environment, day: date | None) -> Select[int, str, datetime, Any]:
    return (
        select(
            Build.id,
            Build.status,
            Build.scheduled_on,
            func.extract("epoch", func.clock_timestamp() - Build.ended_on).label("age"),
        )
        .where(
            Build.environment_id == environment.id,
            Build.deleted_on.is_(None),
            _DAY.is_not_distinct_from(None if day is None else day.isoformat()),
        )
        .order_by(Build.generation.desc())
    )


def _read(row: Row[int, str, datetime, Any]) -> Known:
    return Known(row.id, Status(row.status), row.scheduled_on, None if row.age is None else float(row.age))


def listed(session: Session, environment: Environment) -> list[str]:
    """The tags that can be pulled without a build, sorted as bytes: `latest`, days, lock hashes."""
    of = (Build.environment_id == environment.id, Build.deleted_on.is_(None), Build.status == Status.COMPLETED)
    days = session.execute(select(_DAY).where(*of, _DAY.is_not(None)).distinct()).scalars()
    locks = session.execute(
        select(LockRow.sha256)
        .join(LockPlatform, LockPlatform.lock_id == LockRow.id)
        .join(Build, Build.id == LockPlatform.build_id)
        .where(*of)
        .distinct()
    ).scalars()
    latest = {"latest"} if environment.current_build_id is not None else set()
    return sorted({*latest, *days, *locks})


def start(session: Session, subject: str, limit: int | None) -> float:
    """Counts a build that `subject` has started; 0, or the seconds to wait until it may have another.

    Exact whatever the number of registries: who asks for the same subject waits until this transaction ends.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"on-demand/{subject}", 0))))
    now = func.clock_timestamp()
    # those of whoever never came back, too
    old = select(OnDemandStart.id).where(OnDemandStart.at <= now - WINDOW).with_for_update(skip_locked=True)
    session.execute(delete(OnDemandStart).where(OnDemandStart.id.in_(old)))
    if limit is not None:
        # The build at this place from the newest on has to leave the window first.
        waits = select(func.extract("epoch", OnDemandStart.at + WINDOW - now)).where(OnDemandStart.subject == subject)
        wait = session.execute(
            waits.order_by(OnDemandStart.at.desc()).offset(max(limit, 1) - 1).limit(1)
        ).scalar_one_or_none()
        if limit == 0 or wait is not None:
            return max(1.0, float(WINDOW.total_seconds() if wait is None else wait))
    session.execute(insert(OnDemandStart).values(subject=subject, at=now))
    return 0.0


def pulled(session: Session, build_id: int) -> None:
    """Notes that the image of a build was pulled now; writes at most once in an hour."""
    recent = func.clock_timestamp() - PULL_HOUR
    known = session.execute(
        select(OnDemandPull.last_pulled_on > recent).where(OnDemandPull.build_id == build_id)
    ).scalar_one_or_none()
    if known:
        return
    if known is None:
        session.execute(
            upsert(OnDemandPull)
            .values(build_id=build_id, last_pulled_on=func.clock_timestamp())
            .on_conflict_do_nothing(index_elements=["build_id"])
        )
        return
    session.execute(
        update(OnDemandPull)
        .where(OnDemandPull.build_id == build_id, OnDemandPull.last_pulled_on <= recent)
        .values(last_pulled_on=func.clock_timestamp())
    )


def build_of_image(session: Session, environment: Environment, digest: str) -> int | None:
    """The newest build of the environment whose lock the manifest of that digest (in hex) is of."""
    return session.execute(
        select(Build.id)
        .join(LockPlatform, LockPlatform.build_id == Build.id)
        .join(Image, Image.lock_id == LockPlatform.lock_id)
        .where(Build.environment_id == environment.id, Build.deleted_on.is_(None), Image.digest == digest)
        .order_by(Build.generation.desc())
        .limit(1)
    ).scalar_one_or_none()


def lacking(session: Session, channels: Collection[str], names: Collection[str]) -> set[str]:
    """Which of the packages none of the channels (canonical URLs) has; empty unless all of them are indexed."""
    unread = select(ChannelSync.id).where(ChannelSync.channel_id == Channel.id, ChannelSync.checked_on.is_(None))
    indexed = select(Channel.id).where(Channel.url.in_(channels), Channel.is_indexed, ~unread.exists())
    ids = session.execute(indexed).scalars().all()
    if len(ids) < len(set(channels)):
        return set()
    found = session.execute(
        select(PackageName.name).where(PackageName.channel_id.in_(ids), PackageName.name.in_(names))
    )
    return set(names) - set(found.scalars())
