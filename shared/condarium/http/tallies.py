"""What happens too often for a row each: downloads, pulls and denials are counted here and written every few seconds.

A process that is killed loses what it counted since the last write; deeds that change something never pass here.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool

from condarium import log
from condarium.database import Database, audit
from condarium.database.audit import Sum
from condarium.errors import Unavailable

FLUSH_SECONDS = 3.0
#: different things that one principal's denials are counted by, per minute; a scan of more is one sum
DENIALS_APART = 100
#: sums that are kept while the database is away
MOST_SUMS = 20_000
#: seconds that a stop waits for the last write
LAST_FLUSH_SECONDS = 5.0

logger = log.get(__name__)


class Tallies:
    """Any thread may count; `running` writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._sums: dict[Sum, tuple[int, datetime]] = {}
        self._minute = ""
        self._denials: dict[str, set[tuple[str, str]]] = {}
        self._lost = 0

    def fetched(
        self, *, principal: str, action: str, resource: str, digest: str | None, **details: str | int | None
    ) -> None:
        """A download or a pull of what is under `resource` (`namespace/environment`); summed per day."""
        shown = f"sha256:{digest}" if digest else resource
        more = {"of": resource, **details} if digest else details
        kept = tuple(sorted((name, value) for name, value in more.items() if value is not None))
        self._count(Sum(_now()[:10], principal, action, shown, audit.namespace_of(resource), details=kept))

    def denied(
        self, *, principal: str, action: str, resource: str, address: str | None = None, outcome: str = "denied"
    ) -> None:
        """A refusal; summed per minute. `outcome` is `failed` for a login with wrong credentials."""
        minute = _now()[:16]
        with self._lock:
            if minute != self._minute:
                self._minute, self._denials = minute, {}
            known = self._denials.setdefault(principal, set())
            if (action, resource) not in known and len(known) >= DENIALS_APART:
                action, resource, address = "*", "*/*", None
            else:
                known.add((action, resource))
        kind: audit.Outcome = "failed" if outcome == "failed" else "denied"
        self._count(Sum(minute, principal, action, resource, audit.namespace_of(resource), kind, address))

    def _count(self, what: Sum) -> None:
        with self._lock:
            if what not in self._sums and len(self._sums) >= MOST_SUMS:
                self._lost += 1
                return
            self._sums[what] = (self._sums.get(what, (0, None))[0] + 1, datetime.now(UTC))

    def flush(self) -> None:
        """Writes what was counted. Raises Unavailable; nothing is lost by it."""
        with self._lock:
            sums, self._sums = self._sums, {}
            lost, self._lost = self._lost, 0
        if lost:
            logger.warning(
                "the audit log lacks deeds: too many different ones while it could not be written", lost=lost
            )
        if not sums:
            return
        try:
            with self._database.transaction() as session:
                audit.add_sums(session, [(what, count, last) for what, (count, last) in sums.items()])
        except BaseException:
            with self._lock:
                for what, (count, last) in sums.items():
                    self._sums[what] = (self._sums.get(what, (0, None))[0] + count, last)
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Writes every few seconds, and at the end."""
        task = asyncio.create_task(self._run(), name="tallies")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            with suppress(TimeoutError):
                await asyncio.wait_for(run_in_threadpool(self._flush), LAST_FLUSH_SECONDS)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await run_in_threadpool(self._flush)

    def _flush(self) -> None:
        try:
            self.flush()
        except Unavailable as error:
            logger.warning("the audit log cannot be written, will try again", reason=str(error))
        except Exception:
            logger.exception("the audit log cannot be written, will try again")


def _now() -> str:
    return datetime.now(UTC).isoformat()
