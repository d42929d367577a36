"""Solves without a build: slots of their own, so that neither waits for the other.

A solve is over in a moment and somebody waits for it; a build may take an hour. So each kind has its own slots, with
its own warm children (the same program), and the solver's load on a host is bounded by `CONDARIUM_BUILDER_SOLVE_SLOTS`.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from condarium import log, metrics
from condarium.database import leases, solves, wakes
from condarium.domain.lock import Lock
from condarium.errors import CondariumError, LeaseLost, Unavailable, WorldFault
from condarium.work.bell import Bell
from condarium.work.child import Child, Message, Warm
from services.builder.handlers import Work
from services.builder.job_making import make_solve_job

logger = log.get(__name__)

#: how long a stop waits for a solve to be given back
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class SolveTask:
    """A solve that is ours; `repodata` is what the channels looked like at its last answer."""

    held: leases.Claim
    namespace: str
    specification: Mapping[str, Any]
    #: as `Build.settings`
    settings: Mapping[str, Any]
    repodata: str | None


def take(work: Work) -> SolveTask | None:
    """Claims the next solve that somebody waits for."""
    with work.database.transaction() as session:
        held = leases.claim(
            session,
            solves.CLAIMABLE,
            owner=f"{work.owner}:{threading.get_ident()}",
            lease_seconds=work.settings.lease_seconds,
            where=solves.WANTED,
        )
        if held is None:
            return None
        row = solves.load_claimed(session, held)
        return SolveTask(held, row.namespace, row.spec, row.settings, row.repodata if row.locks is not None else None)


class Solving:
    """One solve: the child works, this thread keeps the lease and writes the answer."""

    def __init__(self, work: Work, task: SolveTask, stopping: Callable[[], bool]) -> None:
        self._work, self._task, self._stopping = work, task, stopping
        self._locks: dict[str, Lock] = {}
        self._began = self._beaten = time.monotonic()
        self._child: Child | None = None

    def run(self, take_child: Callable[[], Child]) -> None:
        with log.bound(solve=self._task.held.id):
            try:
                self._run(take_child)
            except LeaseLost as error:
                logger.warning("the lease is lost; nothing is written", reason=str(error))
                metrics.LEASES_LOST.labels("solves").inc()

    def end(self) -> None:
        """Ends it from outside, by the death of its child."""
        if self._child is not None:
            self._child.kill()

    def _run(self, take_child: Callable[[], Child]) -> None:
        end: Message | None = None
        try:
            with take_child() as self._child:
                self._child.send(make_solve_job(self._work, self._task).to_json())
                end = self._follow(self._child)
        except (WorldFault, Unavailable) as error:
            end = {"event": "failed", "kind": "world", "message": str(error)}
        metrics.PHASE_SECONDS.labels("solve-only").observe(time.monotonic() - self._began)
        self._conclude(end)

    def _follow(self, child: Child) -> Message | None:
        """Reads the child until its end; None when it just ended."""
        limit = self._work.settings.builder_time_limit_seconds
        while True:
            self._beat()
            if time.monotonic() - self._began > limit:
                return {"event": "failed", "kind": "world", "message": f"the solve took longer than {limit:g} s"}
            try:
                message = child.receive(timeout=self._work.settings.heartbeat_seconds)
            except TimeoutError:
                continue
            except OSError:
                return None
            if message is None or message["event"] in ("answered", "failed"):
                return message
            if message["event"] == "solved":
                self._locks = {platform: Lock.from_json(raw) for platform, raw in message["locks"].items()}

    def _beat(self) -> None:
        settings = self._work.settings
        now = time.monotonic()
        if now - self._beaten < settings.heartbeat_seconds:
            return
        try:
            with self._work.database.transaction() as session:
                leases.extend(session, solves.CLAIMABLE, self._task.held, lease_seconds=settings.lease_seconds)
            self._beaten = now
        except Unavailable:
            if now - self._beaten > settings.lease_seconds:
                raise LeaseLost("the lease ended while the database was away") from None

    def _conclude(self, end: Message | None) -> None:
        held = self._task.held
        with self._work.database.transaction() as session:
            if end is None and self._stopping():
                solves.give_back(session, held)
            elif end is None:
                solves.failed(session, held, reason=solves.WORLD, message="the solver's process died")
            elif end["event"] == "failed":
                world = end["kind"] != "input"
                reason = solves.WORLD if world else str(end.get("reason") or "input")
                message = str(end["message"]).replace("\0", "\ufffd")[:20_000]
                solves.failed(session, held, reason=reason, message=message)
                logger.info("not solved", reason=reason, kind=end["kind"])
            elif end["unchanged"]:
                solves.unchanged(session, held)
            else:
                solves.answered(session, held, self._locks, end["repodata"])


class SolveSlots:
    """`wake` may be called by any thread, at any time."""

    def __init__(self, work: Work, start_child: Callable[[], Child]) -> None:
        self._work = work
        self._start_child = start_child
        self._stopping = threading.Event()
        self._bell = Bell()
        self._running: dict[int, Solving] = {}
        count = work.settings.builder_solve_slots
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"solve-{number}", daemon=True)
            for number in range(count)
        ]
        if count:
            self._threads.append(threading.Thread(target=self._listen, name="solve-listen", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        self._bell.ring()

    def stop(self) -> None:
        """What is being solved goes back, for another builder."""
        self._stopping.set()
        for solving in list(self._running.values()):
            solving.end()
        self.wake()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self, number: int) -> None:
        warm = Warm(self._start_child)
        seen = -1
        try:
            while not self._stopping.is_set():
                seen = self._bell.wait(seen, self._work.settings.poll_seconds)
                self._drain(number, warm)
        finally:
            warm.close()

    def _drain(self, number: int, warm: Warm) -> None:
        try:
            while not self._stopping.is_set():
                warm.wait_ready()
                task = take(self._work)
                if task is None:
                    return
                self._solve(number, warm, task)
        except CondariumError as error:
            logger.warning("cannot take solves now", reason=str(error))
        except Exception:
            logger.exception("a solve slot failed; it goes on")
            self._stopping.wait(1.0)

    def _solve(self, number: int, warm: Warm, task: SolveTask) -> None:
        solving = self._running[number] = Solving(self._work, task, self._stopping.is_set)

        def take_child() -> Child:
            child = warm.take()
            if not self._stopping.is_set():
                warm.prepare()  # the next one starts while this one works
            return child

        try:
            with metrics.SLOTS_BUSY.labels("solver").track_inprogress():
                solving.run(take_child)
        finally:
            del self._running[number]

    def _listen(self) -> None:
        """Wakes the slots when somebody asks; the poll stands behind it."""
        wakes.follow(self._work.database, solves.ASKED_CHANNEL, self.wake, self._stopping)
