"""The use cases of the builder: taking a build, and each way it goes on. Every write is fenced by the claim."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from condarium import log, metrics
from condarium.database import Database, artifacts, builds, environments, leases, locks, outbox, settings, stores, usage
from condarium.database.tables import Build
from condarium.domain.build import Status
from condarium.domain.lock import Lock
from condarium.domain.naming import prefix_name
from condarium.errors import WorldFault
from condarium.events import BuildCanceled, BuildCompleted, BuildFailed, BuildQueued, BuildSolved, BuildStarted
from services.builder.config import Settings
from services.builder.logbook import Logbook
from services.builder.store import FULL_DISK, Store, disk_percent, full_disk_sentence, has_free

SOURCE = "builder"
logger = log.get(__name__)


@dataclass(frozen=True)
class Work:
    """What every use case needs; `owner` names this process in leases."""

    database: Database
    settings: Settings
    store: Store
    owner: str
    #: the settings of the deployment by their keys (`Deployment.values`)
    deployment: Mapping[str, Any] = field(default_factory=dict)
    #: set while builds say that they wait for this disk
    disk_said: Event = field(default_factory=Event)


@dataclass(frozen=True)
class Task:
    """A build that is ours. `attempt` is the fencing token, `tries` counts from 1 since a person last asked."""

    held: leases.Claim
    tries: int
    environment_id: int
    namespace: str
    name: str
    specification: Mapping[str, Any]
    #: those that held when it was submitted; what they leave out is the builder's own
    settings: Mapping[str, Any]
    actor: str
    #: seconds between submission and claim
    queued_seconds: float

    @property
    def build_id(self) -> int:
        return self.held.id

    @property
    def attempt(self) -> int:
        return self.held.attempt


@dataclass(frozen=True)
class Linked:
    """What a finished child reports: `size` in bytes, `timings` in seconds per phase, `links` as `PrefixSize` has them.

    `lock_hash` is None where none of the build's platforms is the store's own: then there is no prefix.
    """

    lock_hash: str | None
    size: int
    timings: Mapping[str, float]
    links: Mapping[str, int] = field(default_factory=dict)


def take(work: Work) -> Task | None:
    """Claims the next build, or None when there is none for us or the disk is too full.

    Builds that were canceled, or whose workers died too often, are ended on the way.
    """
    percent, wanted = disk_percent(work.store.directory), _bytes_wanted(work)
    missing = not has_free(work.store.directory, wanted)
    if missing or percent >= work.settings.builder_disk_hard_percent:
        _say_disk_is_full(work, full_disk_sentence(percent, wanted=wanted if missing else 0))
        return None
    if work.disk_said.is_set():
        _say_disk_has_room(work)
    while True:
        with work.database.transaction() as session:
            held = leases.claim(
                session,
                builds.CLAIMABLE,
                owner=work.owner,
                lease_seconds=work.settings.lease_seconds,
                where=or_(Build.store_id.is_(None), Build.store_id == work.store.id),
            )
            if held is None:
                return None
            task = _begin(session, work, held)
        if task is not None:
            return task


def _begin(session: Session, work: Work, held: leases.Claim) -> Task | None:
    build = builds.load_claimed(session, held)
    tries = build.attempt - build.attempts_before
    if _asked_to_cancel(build):
        _end_canceled(session, work, build)
        return None
    if tries > work.settings.max_attempts:
        said = f"given up after {tries - 1} attempts: the builder died in the last one"
        _end_failed(session, work, build, "attempts", said)
        return None
    now = _now(session)
    queued = (now - build.scheduled_on).total_seconds()
    build.store_id = work.store.id
    build.started_on = build.started_on or now
    build.status_info = build.reason = None
    outbox.add(session, builds.event(session, build, BuildStarted, actor=SOURCE, attempt=held.attempt), source=SOURCE)
    return Task(
        held=held,
        tries=tries,
        environment_id=build.environment_id,
        namespace=build.environment.namespace.name,
        name=build.environment.name,
        specification=build.specification.spec,
        settings=build.settings,
        actor=build.created_by,
        queued_seconds=queued,
    )


def _bytes_wanted(work: Work) -> int:
    """What the setting storage_threshold says now."""
    with work.database.transaction() as session:
        return int(settings.effective(session, deployment=work.deployment)["storage_threshold"])


def _say_disk_is_full(work: Work, sentence: str) -> None:
    work.disk_said.set()
    # What says so already stays as it is: hosts would write over each other's sentences, for every build, at each poll.
    with work.database.transaction() as session:
        session.execute(
            update(Build)
            .where(Build.status == Status.QUEUED)
            .where(or_(Build.status_info.is_(None), Build.status_info.not_like(f"{FULL_DISK}%")))
            .where(or_(Build.not_before.is_(None), Build.not_before <= func.clock_timestamp()))
            .values(status_info=sentence)
            .execution_options(synchronize_session=False)
        )


def _say_disk_has_room(work: Work) -> None:
    with work.database.transaction() as session:
        session.execute(
            update(Build)
            .where(Build.status == Status.QUEUED, Build.status_info.like(f"{FULL_DISK}%"))
            .values(status_info=None)
            .execution_options(synchronize_session=False)
        )
    work.disk_said.clear()


def beat(work: Work, task: Task) -> bool:
    """Extends the lease; returns whether somebody has asked to cancel. Raises LeaseLost."""
    with work.database.transaction() as session:
        leases.extend(session, builds.CLAIMABLE, task.held, lease_seconds=work.settings.lease_seconds)
        asked = session.execute(
            select(Build.cancel_requested_at.is_not(None) | Build.deleted_on.is_not(None)).where(
                Build.id == task.build_id
            )
        )
        return bool(asked.scalar_one())


def solved(work: Work, task: Task, found: Mapping[str, Lock]) -> None:
    """Stores the locks, asks for the eager artifacts, and wakes the packagers. Raises LeaseLost."""
    with work.database.transaction() as session:
        build = builds.load_claimed(session, task.held)
        same = locks.store(session, build, found, actor=SOURCE)
        artifacts.request_eager(session, build, _eager(work, build), same_locks=same)
        outbox.add(session, builds.event(session, build, BuildSolved, actor=task.actor), source=SOURCE)


def completed(work: Work, task: Task, result: Linked, book: Logbook) -> bool | None:
    """Publishes the prefix; returns whether the environment points to it now, None when the build ended as canceled.

    Raises LeaseLost, and WorldFault when the prefix was swept as garbage since it was found there.
    """
    with work.database.transaction() as session:
        # The environment first, as everybody who locks both does.
        environment = environments.lock_row(session, task.environment_id)
        build = builds.load_claimed(session, task.held)
        if _ends_canceled(session, work, build, book):
            return None
        if result.lock_hash is not None:
            path = f"{task.namespace}/{prefix_name(result.lock_hash, task.name)}"
            # Whoever sweeps it holds the same lock, from looking whether a build needs it until it is moved away.
            stores.lock_prefix(session, path)
            if not (work.store.directory / path).is_dir():
                raise WorldFault(f"the prefix {path} was swept while it was taken; it is linked anew")
            build.prefix_id = stores.record_prefix(
                session,
                store_id=work.store.id,
                namespace_id=environment.namespace_id,
                lock_hash=result.lock_hash,
                name=task.name,
                path=path,
                size=result.size,
                own_size=result.size - sum(result.links.values()),
                actor=SOURCE,
            )
            usage.record_links(session, result.lock_hash, result.links)
        build.size = result.size
        build.timings = {"queue": round(task.queued_seconds, 4), **result.timings}
        build.status_info = None
        book.write_out(session)
        _end(session, build, Status.COMPLETED)
        session.flush()
        current = environment.deleted_on is None and environments.point_to(
            session, environment, build, actor=task.actor, source=SOURCE
        )
        outbox.add(
            session, builds.event(session, build, BuildCompleted, actor=task.actor, current=current), source=SOURCE
        )
        artifacts.announce(session, build)
        return current


def failed(work: Work, task: Task, *, reason: str, message: str, book: Logbook) -> None:
    """A final outcome, in the words of whoever found it. Raises LeaseLost."""
    with work.database.transaction() as session:
        build = builds.load_claimed(session, task.held)
        book.write_out(session)
        _end_failed(session, work, build, reason, message)


def canceled(work: Work, task: Task, book: Logbook) -> None:
    """Raises LeaseLost."""
    with work.database.transaction() as session:
        build = builds.load_claimed(session, task.held)
        book.write("canceled")
        book.write_out(session)
        _end_canceled(session, work, build)


def troubled(work: Work, task: Task, message: str, book: Logbook, *, retry_after: float | None = None) -> None:
    """A fault of the world: back to the queue with backoff, or failed when the attempts are used up."""
    limit = work.settings.max_attempts
    with work.database.transaction() as session:
        build = builds.load_claimed(session, task.held)
        if _ends_canceled(session, work, build, book):
            return
        if task.tries >= limit:
            book.write(f"given up after {task.tries} attempts")
            book.write_out(session)
            _end_failed(session, work, build, "attempts", f"given up after {task.tries} attempts: {message}")
            return
        wait = work.settings.retry.delay(task.tries, jitter=random.random(), retry_after=retry_after)
        now = _now(session)
        said = f"attempt {task.tries} of {limit} failed at {_time(now)}: {message}; tried again at " + _time(
            now + timedelta(seconds=wait)
        )
        book.write(said)
        book.write_out(session)
        builds.move(session, build, Status.QUEUED)
        leases.postpone(session, build, seconds=wait)
        build.status_info = said
        outbox.add(session, builds.event(session, build, BuildQueued, actor=SOURCE), source=SOURCE)


def given_back(work: Work, task: Task, book: Logbook) -> None:
    """This builder stops: another one may start the build at once, and the attempt is not counted."""
    with work.database.transaction() as session:
        build = builds.load_claimed(session, task.held)
        if _ends_canceled(session, work, build, book):
            return
        book.write("the builder stops; the build goes back to the queue")
        book.write_out(session)
        builds.move(session, build, Status.QUEUED)
        leases.release(build)
        build.attempts_before += 1
        build.status_info = "the builder was stopped; waits for another"
        outbox.add(session, builds.event(session, build, BuildQueued, actor=SOURCE), source=SOURCE)


def _asked_to_cancel(build: Build) -> bool:
    return build.cancel_requested_at is not None or build.deleted_on is not None


def _ends_canceled(session: Session, work: Work, build: Build, book: Logbook) -> bool:
    """Whoever asked to cancel before the attempt's end was told yes, so that is what it ends as."""
    if not _asked_to_cancel(build):
        return False
    book.write("canceled")
    book.write_out(session)
    _end_canceled(session, work, build)
    return True


def _end(session: Session, build: Build, status: Status) -> None:
    builds.move(session, build, status)
    assert build.ended_on is not None
    metrics.BUILDS.labels(status.value, build.reason or "").inc()
    metrics.BUILD_SECONDS.labels(status.value).observe((build.ended_on - build.scheduled_on).total_seconds())


def _eager(work: Work, build: Build) -> Sequence[str]:
    """What is made of the build without being asked, by the settings under which it was submitted."""
    chosen: Sequence[str] = build.settings.get("build_artifacts", work.settings.artifacts)
    return chosen


def _end_failed(session: Session, work: Work, build: Build, reason: str, message: str) -> None:
    build.reason, build.status_info = reason, message
    _end(session, build, Status.FAILED)
    artifacts.request_log(session, build, _eager(work, build))
    outbox.add(
        session,
        builds.event(session, build, BuildFailed, actor=build.created_by, reason=reason, message=message),
        source=SOURCE,
    )


def _end_canceled(session: Session, work: Work, build: Build) -> None:
    build.status_info = "canceled"
    _end(session, build, Status.CANCELED)
    artifacts.request_log(session, build, _eager(work, build))
    outbox.add(
        session, builds.event(session, build, BuildCanceled, actor=build.created_by, requested=False), source=SOURCE
    )


def _now(session: Session) -> datetime:
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
