"""Carries events from the outbox to the streams and to the broker.

Every process that writes events runs a relay; one of them all is active, by a session lock. It works in two
steps, each a thread of its own, so that event streams do not depend on the broker: *numbering* gives each
committed event its position, *publishing* sends numbered events until the broker has confirmed them. Both are
woken at once and look by themselves every second; what a crash leaves undone, the next active relay does.
"""

import threading
import time
from collections.abc import Callable

import psycopg

from condarium import log, metrics
from condarium.database import Database, inbox, outbox
from condarium.errors import Unavailable
from condarium.messaging.publisher import Publisher

POLL_SECONDS = 1.0
BATCH = 200
BACKOFF_CAP_SECONDS = 5.0
STOP_SECONDS = 2.0
INBOX_DAYS = 30
HOUSEKEEPING_SECONDS = 3600.0

logger = log.get(__name__)


class Relay:
    """`start()` returns at once; `stop()` within two seconds, whatever the broker or the database do."""

    def __init__(self, database: Database, amqp_url: str) -> None:
        self._database = database
        self._publisher = Publisher(amqp_url)
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._active = threading.Event()
        self._threads: list[threading.Thread] = []
        self._cleaned = time.monotonic()

    @property
    def active(self) -> bool:
        """True while this relay is the one that works."""
        return self._active.is_set()

    def start(self) -> None:
        metrics.ask(metrics.DEPTH.labels("events-unpublished"), lambda: self._lag()[0])
        metrics.ask(metrics.OUTBOX_LAG_SECONDS, lambda: self._lag()[1])
        for name, work in (("relay-number", self._number_once), ("relay-publish", self._publish_once)):
            thread = threading.Thread(target=self._forever, args=(name, work), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """What is not published yet stays in the outbox for the next active relay."""
        self._stopped.set()
        self._wake.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._threads.clear()

    def _forever(self, name: str, work: Callable[[], None]) -> None:
        """Runs `work` until stopped; a fault is logged once per outage and tried again with growing waits."""
        wait = 0.0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                work()
            except Exception as error:
                if time.monotonic() - began > BACKOFF_CAP_SECONDS:
                    wait = 0.0  # it worked for a while: this is another outage
                known = isinstance(error, Unavailable | psycopg.Error)
                if wait == 0.0:
                    logger.warning(f"{name}: cannot work, will try again", reason=str(error), exc_info=not known)
                wait = min(BACKOFF_CAP_SECONDS, max(0.1, wait * 2))
                self._stopped.wait(wait)

    # -- numbering: the thread that holds the lock ---------------------------------------------------------------

    def _number_once(self) -> None:
        """One session of the lock: returns when stopped; raises when the database breaks the session."""
        session = self._database.listen()
        try:
            self._keep_alive(session)
            while not self._stopped.is_set():
                if not self._lock(session):
                    self._stopped.wait(POLL_SECONDS)
                    continue
                logger.debug("this process carries the events now")
                self._set_active(True)
                session.execute(f"listen {outbox.NEW_CHANNEL}")
                while not self._stopped.is_set():
                    self._number_all()
                    self._clean()
                    for _ in session.notifies(timeout=POLL_SECONDS, stop_after=1):
                        pass
                    # Listening alone does not show that the server has ended this session, and the lock with it.
                    session.execute("select 1")
        finally:
            self._set_active(False)
            session.close()

    def _keep_alive(self, session: psycopg.Connection) -> None:
        # A relay whose host vanished must lose its lock within seconds, not after the kernel's two hours.
        for name, value in (("idle", 10), ("interval", 5), ("count", 3)):
            session.execute(f"set tcp_keepalives_{name} = {value}")

    def _lock(self, session: psycopg.Connection) -> bool:
        row = session.execute("select pg_try_advisory_lock(%s)", (outbox.RELAY_LOCK,)).fetchone()
        return row is not None and bool(row[0])

    def _set_active(self, active: bool) -> None:
        metrics.RELAY_ACTIVE.set(1 if active else 0)
        if active:
            self._active.set()
            self._wake.set()
        else:
            self._active.clear()

    def _number_all(self) -> None:
        count = BATCH
        while count == BATCH and not self._stopped.is_set():
            with self._database.transaction() as session:
                count = outbox.number(session, limit=BATCH)
            if count:
                metrics.EVENTS_NUMBERED.inc(count)
                self._wake.set()

    def _clean(self) -> None:
        if time.monotonic() - self._cleaned > HOUSEKEEPING_SECONDS:
            self._cleaned = time.monotonic()
            with self._database.transaction() as session:
                inbox.forget(session, older_than_days=INBOX_DAYS)

    # -- publishing ----------------------------------------------------------------------------------------------

    def _publish_once(self) -> None:
        try:
            while not self._stopped.is_set():
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()
                if self._active.is_set():
                    self._publish_all()
                    self._publisher.tick()
                else:
                    self._publisher.close()
        finally:
            self._publisher.close()

    def _publish_all(self) -> None:
        """Until nothing is left. Raises Unavailable when the broker confirms nothing of a batch."""
        while self._active.is_set() and not self._stopped.is_set():
            with self._database.transaction() as session:
                events = outbox.unpublished(session, limit=BATCH)
            if not events:
                return
            confirmed = self._publisher.publish(events)
            with self._database.transaction() as session:
                ages = outbox.published(session, confirmed)
            self._measure(events, set(confirmed), ages)
            if len(confirmed) < len(events):
                raise Unavailable(f"the broker refused {len(events) - len(confirmed)} of {len(events)} events")

    def _lag(self) -> tuple[int, float]:
        with self._database.transaction() as session:
            return outbox.lag(session)

    def _measure(self, events: list[outbox.Stored], confirmed: set[int], ages: list[float]) -> None:
        for event in events:
            if event.id in confirmed:
                metrics.EVENTS_PUBLISHED.labels(event.routing_key).inc()
        for age in ages:
            metrics.PUBLISH_SECONDS.observe(age)
