"""What is done beside artifacts, each kind by threads of its own: images for other registries, packages of channels.

A kind is a table of claimable rows. Its threads take one after the other until none is left, then sleep until a
notification of the database, or the poll, wakes them.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from condarium import log, metrics
from condarium.database import leases, outcomes, wakes
from condarium.database.garbage import marks
from condarium.errors import CondariumError, ConfigError, InputFault, LeaseLost, Unavailable, WorldFault
from condarium.work.bell import Bell
from services.packager.handlers import Work

#: how long `join` waits for what runs to be given back
STOP_SECONDS = 5.0

logger = log.get(__name__)

#: the transaction that writes what was done
Record = Callable[[Session], None]


class Held:
    """A claimed row while it is worked on. `check` is called now and then by whoever does the work."""

    def __init__(self, claim: leases.Claim, stopping: Callable[[], bool]) -> None:
        self.claim = claim
        self.lost = threading.Event()
        self._stopping = stopping

    def check(self) -> None:
        """Raises LeaseLost once the row is somebody else's, Unavailable when this process stops."""
        if self.lost.is_set():
            raise LeaseLost("the lease ended while it was worked on")
        if self._stopping():
            raise Unavailable("the packager is stopping")


@dataclass(frozen=True)
class Kind:
    """`perform` does the work and returns what writes its good end; `failed` writes the bad one, in words for people.

    `perform` raises InputFault or ConfigError for what stays wrong, WorldFault or Unavailable for what may get better.
    """

    name: str
    claimable: leases.Claimable
    #: of the database, that wakes the threads
    channel: str
    count: int
    perform: Callable[[Held], Record]
    failed: Callable[[Session, leases.Claim, str], None]
    #: takes secrets out of a message
    shown: Callable[[str], str] = str


class Beside:
    """The threads of one kind."""

    def __init__(self, work: Work, kind: Kind) -> None:
        self._work, self._kind = work, kind
        self._stopping = threading.Event()
        self._bell = Bell()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{kind.name}-{number}", daemon=True)
            for number in range(kind.count)
        ]
        if kind.count:
            self._threads.append(threading.Thread(target=self._listen, name=f"{kind.name}-listen", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        self._bell.ring()

    def quit(self) -> None:
        """Takes no more; what runs notices soon, or when its child is gone, and goes back for another packager."""
        self._stopping.set()
        self.wake()

    def join(self) -> None:
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def _listen(self) -> None:
        wakes.follow(self._work.database, self._kind.channel, self.wake, self._stopping)

    def _serve(self) -> None:
        seen = -1
        while not self._stopping.is_set():
            seen = self._bell.wait(seen, self._work.settings.poll_seconds)
            self._drain()

    def _drain(self) -> None:
        try:
            while not self._stopping.is_set():
                held = self._take()
                if held is None:
                    return
                with (
                    metrics.SLOTS_BUSY.labels(self._kind.name).track_inprogress(),
                    log.bound(kind=self._kind.name, row=held.claim.id, attempt=held.claim.attempt),
                ):
                    self._attempt(held)
        except CondariumError as error:
            logger.warning("cannot work now", kind=self._kind.name, reason=str(error))
        except Exception:
            logger.exception("a slot failed; it goes on")
            self._stopping.wait(1.0)

    def _take(self) -> Held | None:
        work = self._work
        with work.database.transaction() as session:
            claim = leases.claim(
                session,
                self._kind.claimable,
                owner=f"{work.owner}:{secrets.token_hex(4)}",
                lease_seconds=work.settings.lease_seconds,
            )
        return None if claim is None else Held(claim, self._stopping.is_set)

    def _attempt(self, held: Held) -> None:
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(held, ended), name=f"lease-{held.claim.id}", daemon=True)
        beating.start()
        try:
            self._run(held)
        except LeaseLost as error:
            logger.warning("the lease is lost; nothing is written", reason=str(error))
            metrics.LEASES_LOST.labels(self._kind.claimable.table.__tablename__).inc()
        finally:
            ended.set()
            beating.join()

    def _run(self, held: Held) -> None:
        limit = self._work.settings.max_attempts
        if held.claim.attempt > limit:
            # one that only ever died, and never came to say why
            self._fail(held, f"given up: the packager died in each of {held.claim.attempt - 1} attempts")
            return
        try:
            record = self._kind.perform(held)
            self._write(record)
        except (InputFault, ConfigError) as error:
            self._fail(held, str(error))
        except (WorldFault, Unavailable) as error:
            self._trouble(held, str(error), getattr(error, "retry_after", None))
        except LeaseLost:
            raise
        except Exception as error:
            logger.exception("it failed unexpectedly")
            self._trouble(held, f"unexpectedly: {type(error).__name__}: {error}", None)

    def _write(self, record: Record) -> None:
        storage = self._work.storage
        with self._work.database.transaction() as session:
            record(session)
            marks.check(session, lambda key: storage.stat(key) is not None)

    def _fail(self, held: Held, message: str) -> None:
        said = self._kind.shown(message)
        logger.info("failed", reason=said)
        self._write(lambda session: self._kind.failed(session, held.claim, said))

    def _trouble(self, held: Held, message: str, after: float | None) -> None:
        """A fault of the world: tried again later, until the attempts are used up."""
        settings, kind = self._work.settings, self._kind
        if self._stopping.is_set():
            self._write(lambda session: outcomes.give_back(session, kind.claimable, held.claim))
            return
        said, attempt = kind.shown(message), held.claim.attempt
        logger.warning("troubled", reason=said)
        if attempt >= settings.max_attempts:
            self._fail(held, f"given up after {attempt} attempts: {message}")
            return
        wait = settings.retry.delay(attempt, jitter=random.random(), retry_after=after)
        now = datetime.now(UTC)
        told = (
            f"attempt {attempt} of {settings.max_attempts} failed at {_moment(now)}: {said}; "
            f"tried again at {_moment(now + timedelta(seconds=wait))}"
        )
        self._write(lambda session: outcomes.postpone(session, kind.claimable, held.claim, seconds=wait, reason=told))

    def _beat(self, held: Held, ended: threading.Event) -> None:
        settings = self._work.settings
        extended = time.monotonic()
        while not ended.wait(settings.heartbeat_seconds):
            try:
                with self._work.database.transaction() as session:
                    leases.extend(session, self._kind.claimable, held.claim, lease_seconds=settings.lease_seconds)
                extended = time.monotonic()
            except LeaseLost:
                held.lost.set()
                return
            except Exception as error:  # whatever it is, the lease must go on being extended while there is one
                with suppress(Exception):
                    logger.warning("the lease could not be extended", reason=str(error))
                if time.monotonic() - extended > settings.lease_seconds:
                    held.lost.set()
                    return


def _moment(when: datetime) -> str:
    return when.isoformat(sep=" ", timespec="seconds")
