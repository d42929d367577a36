"""The use cases of the packager: taking an artifact, keeping its lease, and its four ends."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from condarium.conda.channels import ChannelSettings
from condarium.database import Database, artifacts, builds, leases, referrer_sets
from condarium.database.garbage import marks
from condarium.database.tables import Build
from condarium.domain.artifact import IMAGES, ArtifactType
from condarium.domain.lock import Lock
from condarium.domain.redaction import redact
from condarium.storage import Storage
from services.packager.config import Settings


@dataclass(frozen=True)
class Work:
    """What the process is made of."""

    database: Database
    storage: Storage
    settings: Settings
    channels: ChannelSettings
    owner: str


@dataclass(frozen=True)
class Task:
    """A claimed artifact and what it is rendered from; `locks` by platform, empty for a build that was not solved."""

    held: leases.Claim
    artifact: ArtifactType
    build: Build
    locks: Mapping[str, Lock]

    @property
    def attempt(self) -> int:
        return self.held.attempt

    @property
    def build_id(self) -> int:
        return self.build.id

    @property
    def environment(self) -> str:
        return self.build.environment.name

    @property
    def description(self) -> str:
        return str(self.build.specification.spec.get("description") or "")

    @property
    def main_lock(self) -> Lock:
        """linux-64 where there is one: what formats of one platform show."""
        return self.locks[min(self.locks, key=lambda platform: (platform != "linux-64", platform))]


@dataclass(frozen=True)
class Made:
    """What is served now: `digest` in hex, `size` in bytes; `note` for people.

    `record` writes the rows that say how, in the transaction that makes the artifact ready.
    """

    digest: str
    size: int
    key: str | None = None
    note: str | None = None
    record: Callable[[Session], None] = lambda session: None


def take(work: Work, owner: str) -> Task | None:
    """Claims the next artifact; None when there is none. What cannot be made any more is ended on the way."""
    while True:
        with work.database.transaction() as session:
            held = leases.claim(session, artifacts.CLAIMABLE, owner=owner, lease_seconds=work.settings.lease_seconds)
            if held is None:
                return None
            task = _begin(session, work, held)
        if task is not None:
            return task


def _begin(session: Session, work: Work, held: leases.Claim) -> Task | None:
    kind, build = artifacts.load_claimed(session, held)
    if build.deleted_on is not None:
        artifacts.fail(session, held, build, message=f"build {build.id} was deleted")
        return None
    if held.attempt > work.settings.max_attempts:
        said = f"given up: the packager died in each of {held.attempt - 1} attempts"
        artifacts.fail(session, held, build, message=said)
        return None
    locks = builds.locks(session, build.id)
    if not locks and kind != ArtifactType.LOGS:
        said = (
            f"build {build.id} ended as {build.status} before it was solved: {build.status_info or 'no reason given'}"
        )
        artifacts.fail(session, held, build, message=said)
        return None
    return Task(held, kind, build, locks)


def beat(work: Work, task: Task) -> None:
    """Extends the lease. Raises LeaseLost, Unavailable."""
    with work.database.transaction() as session:
        leases.extend(session, artifacts.CLAIMABLE, task.held, lease_seconds=work.settings.lease_seconds)


def ready(work: Work, task: Task, made: Made) -> None:
    """Raises LeaseLost, and WorldFault when its bytes were deleted as garbage while it was made."""
    with work.database.transaction() as session:
        made.record(session)
        artifacts.ready(
            session, task.held, task.build, digest=made.digest, size=made.size, key=made.key, note=made.note
        )
        if task.artifact in IMAGES:
            referrer_sets.request(session, task.build_id)
        marks.check(session, lambda key: work.storage.stat(key) is not None)


def failed(work: Work, task: Task, message: str) -> None:
    """An outcome of the input: final. Raises LeaseLost."""
    with work.database.transaction() as session:
        artifacts.fail(session, task.held, task.build, message=_shown(work, message))


def troubled(work: Work, task: Task, message: str, *, retry_after: float | None = None) -> bool:
    """A fault of the world: tried again later, or failed when the attempts are used up; whether it goes on.

    Raises LeaseLost.
    """
    limit = work.settings.max_attempts
    if task.attempt >= limit:
        failed(work, task, f"given up after {task.attempt} attempts: {message}")
        return False
    wait = work.settings.retry.delay(task.attempt, jitter=random.random(), retry_after=retry_after)
    now = datetime.now(UTC)
    again = (now + timedelta(seconds=wait)).isoformat(sep=" ", timespec="seconds")
    said = (
        f"attempt {task.attempt} of {limit} failed at {now.isoformat(sep=' ', timespec='seconds')}: {message}; "
        f"tried again at {again}"
    )
    with work.database.transaction() as session:
        artifacts.postpone(session, task.held, seconds=wait, message=_shown(work, said))
    return True


def given_back(work: Work, task: Task) -> None:
    """This process stops: another one takes it at once. Raises LeaseLost."""
    with work.database.transaction() as session:
        artifacts.give_back(session, task.held)


def _shown(work: Work, message: str) -> str:
    return redact(message, work.channels.secrets())
