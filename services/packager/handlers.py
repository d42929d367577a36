"""The use cases of the packager: taking an artifact, keeping its lease, and its four ends."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from condarium.conda.channels import ChannelSettings
from condarium.database import Database, artifacts, builds, leases
from condarium.database.tables import Build
from condarium.domain.artifact import ArtifactType
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
    build_id: int
    build_key: str
    environment: str
    description: str
    status: str
    status_info: str | None
    locks: Mapping[str, Lock]

    @property
    def attempt(self) -> int:
        return self.held.attempt

    @property
    def main_lock(self) -> Lock:
        """linux-64 where there is one: what formats of one platform show."""
        return self.locks[min(self.locks, key=lambda platform: (platform != "linux-64", platform))]


@dataclass(frozen=True)
class Made:
    """What is served now: `digest` in hex, `size` in bytes; `note` for people."""

    digest: str
    size: int
    key: str | None = None
    note: str | None = None


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
    row = artifacts.load_claimed(session, held)
    build = artifacts.load_build(session, row.build_id)
    kind = ArtifactType(row.artifact_type)
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
    return _task(held, kind, build, locks)


def _task(held: leases.Claim, kind: ArtifactType, build: Build, locks: Mapping[str, Lock]) -> Task:
    return Task(
        held=held,
        artifact=kind,
        build_id=build.id,
        build_key=build.key,
        environment=build.environment.name,
        description=str(build.specification.spec.get("description") or ""),
        status=build.status,
        status_info=build.status_info,
        locks=locks,
    )


def beat(work: Work, task: Task) -> None:
    """Extends the lease. Raises LeaseLost, Unavailable."""
    with work.database.transaction() as session:
        leases.extend(session, artifacts.CLAIMABLE, task.held, lease_seconds=work.settings.lease_seconds)


def ready(work: Work, task: Task, made: Made) -> None:
    """Raises LeaseLost."""
    with work.database.transaction() as session:
        build = artifacts.load_build(session, task.build_id)
        artifacts.ready(session, task.held, build, digest=made.digest, size=made.size, key=made.key, note=made.note)


def failed(work: Work, task: Task, message: str) -> None:
    """An outcome of the input: final. Raises LeaseLost."""
    with work.database.transaction() as session:
        artifacts.fail(session, task.held, artifacts.load_build(session, task.build_id), message=_shown(work, message))


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
