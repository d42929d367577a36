"""A thread that sweeps: when it is due, and when somebody asks; one at a time of each part in the installation."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy.orm import Session

from condarium import log, metrics
from condarium.database import Database, settings
from condarium.database.garbage import sweeps
from condarium.database.garbage.sweeps import Claimed
from condarium.domain.retention import Retention
from condarium.errors import CondariumError, LeaseLost, Unavailable

LEASE_SECONDS = 60.0
#: how often it is looked whether a sweep is due
DUE_SECONDS = 60.0

logger = log.get(__name__)

#: Called between steps that take a moment; raises LeaseLost when somebody else does it now, or the process stops.
Beat = Callable[[], None]
#: (what was claimed, retention, beat) to the report
Run = Callable[[Claimed, Retention, Beat], Mapping[str, Any]]


@dataclass(frozen=True)
class Resume:
    """What a sweep that died or failed has left half done, and others wait for: `is_left` looks, `run` ends it."""

    is_left: Callable[[Session], bool]
    run: Callable[[], None]


class Sweeper:
    """`part` is storage or store; `run` does one of them."""

    def __init__(
        self,
        database: Database,
        part: str,
        run: Run,
        *,
        owner: str,
        deployment: Mapping[str, Any],
        poll_seconds: float,
        resume: Resume | None = None,
    ) -> None:
        self._database, self._part, self._run, self._resume = database, part, run, resume
        self._owner, self._deployment, self._poll = f"{owner}:sweeper", deployment, poll_seconds
        self._stopped = threading.Event()
        self._looked = 0.0
        self._thread = threading.Thread(target=self._serve, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What runs ends at its next step; another one takes it over."""
        self._stopped.set()
        self._thread.join(10.0)

    def _serve(self) -> None:
        # Services that start together need not look at the same moment.
        while not self._stopped.wait(self._poll * random.uniform(0.7, 1.3)):
            try:
                self._look()
            except CondariumError as error:
                logger.warning("the sweep is put off", part=self._part, reason=str(error))
            except Exception:
                logger.exception("the sweeper failed; it goes on", part=self._part)

    def _look(self) -> None:
        with self._database.transaction() as session:
            retention = Retention.of(settings.effective(session, deployment=self._deployment).values)
            due = retention.enabled and time.monotonic() - self._looked >= min(DUE_SECONDS, retention.interval)
            if due:
                self._looked = time.monotonic()
                sweeps.ask_when_due(session, self._part, interval=retention.interval)
            waiting = sweeps.is_waiting(session, self._part)
            # Not with the next sweep: that may be an hour away, or garbage switched off since.
            waiting = waiting or (self._resume is not None and self._resume.is_left(session))
        if waiting:
            self._alone(retention)

    def _alone(self, retention: Retention) -> None:
        """A session lock, gone when this process is: a lease alone could end under one that is only slow."""
        connection = self._database.listen()
        try:
            row = connection.execute(
                "select pg_try_advisory_lock(hashtextextended(%s, 0))", (f"sweep:{self._part}",)
            ).fetchone()
            if row and row[0]:
                if self._resume is not None:
                    self._resume.run()
                while self._next(retention, connection):
                    pass
        except psycopg.OperationalError as error:
            raise Unavailable("the database cannot be reached; try again in a moment") from error
        finally:
            connection.close()

    def _next(self, retention: Retention, connection: psycopg.Connection) -> bool:
        with self._database.transaction() as session:
            claimed = sweeps.claim(session, self._part, owner=self._owner, lease_seconds=LEASE_SECONDS)
        if claimed is None:
            return False
        extended = time.monotonic()

        def beat() -> None:
            nonlocal extended
            if self._stopped.is_set():
                raise LeaseLost("the process stops")
            if time.monotonic() - extended > LEASE_SECONDS / 6:
                # The lock's connection must be alive, too: who has lost it does not go on deleting.
                connection.execute("select 1")
                with self._database.transaction() as session:
                    sweeps.extend(session, claimed.held, lease_seconds=LEASE_SECONDS)
                extended = time.monotonic()

        self._do(claimed, retention, beat)
        return not self._stopped.is_set()

    def _do(self, claimed: Claimed, retention: Retention, beat: Beat) -> None:
        began = time.monotonic()
        report: Mapping[str, Any] = {}
        failed: str | None = None
        try:
            report = self._run(claimed, retention.with_grace(claimed.options.get("grace_seconds")), beat)
        except LeaseLost as error:
            logger.info("a sweep is given up", part=self._part, reason=str(error))
            return
        except CondariumError as error:
            failed = str(error)
        except psycopg.OperationalError:
            raise
        except Exception as error:
            logger.exception("a sweep failed", part=self._part)
            failed = f"it failed unexpectedly: {type(error).__name__}: {error}"
        seconds = round(time.monotonic() - began, 3)
        with self._database.transaction() as session:
            sweeps.finish(session, claimed.held, {**report, "seconds": seconds}, failed=failed)
        if failed is None and claimed.verb == "gc" and not claimed.options.get("dry_run"):
            metrics.LAST_SWEEP.labels(self._part).set_to_current_time()
            for kind, found in report.get("freed", {}).items():
                metrics.GARBAGE_BYTES.labels(kind).inc(found["bytes"])
                metrics.GARBAGE_ITEMS.labels(kind).inc(found["count"])
        logger.info("swept", part=self._part, verb=claimed.verb, seconds=seconds, failed=failed, **_said(report))


def _said(report: Mapping[str, Any]) -> dict[str, Any]:
    return {"freed_bytes": sum(found["bytes"] for found in report.get("freed", {}).values())}


def tally(found: Any) -> dict[str, dict[str, int]]:
    """`expiry.Found`s as a report has them, those of one kind added up; what is nothing is left out."""
    sums: dict[str, dict[str, int]] = {}
    for each in found:
        if each.count or each.bytes:
            one = sums.setdefault(each.kind, {"count": 0, "bytes": 0})
            one["count"] += each.count
            one["bytes"] += each.bytes
    return sums
