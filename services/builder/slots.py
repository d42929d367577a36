"""Slots run attempts: each takes builds until none is left, then sleeps until an event or the poll wakes it."""

import threading
import time
from collections.abc import Callable

from condarium import log, metrics
from condarium.errors import CondariumError
from condarium.work.bell import Bell
from condarium.work.child import Child, Warm
from services.builder import handlers
from services.builder.attempt import STOPPED, Attempt
from services.builder.handlers import Work

logger = log.get(__name__)

#: how long a stop waits for builds to be given back, once they may not finish any more
GIVE_BACK_SECONDS = 10.0


class Slots:
    """`wake` may be called by any thread, at any time, and costs nothing."""

    def __init__(self, work: Work, start_child: Callable[[], Child]) -> None:
        self._work = work
        self._start_child = start_child
        self._stopping = threading.Event()
        self._giving_back = threading.Event()
        self._bell = Bell()
        self._running: dict[int, Attempt] = {}
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"slot-{number}", daemon=True)
            for number in range(work.settings.builder_slots)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        self._bell.ring()

    def cancel_soon(self, build_id: int) -> None:
        """Somebody asked to cancel: look now instead of at the next heartbeat."""
        for attempt in list(self._running.values()):
            if attempt.task.build_id == build_id:
                attempt.look()

    def stop(self) -> None:
        """Takes no more builds, lets the running ones finish for a while, gives back what is left."""
        self._stopping.set()
        self.wake()
        until = time.monotonic() + self._work.settings.builder_drain_seconds
        self._join(until)
        self._giving_back.set()
        for attempt in list(self._running.values()):
            attempt.end(STOPPED)
        self._join(time.monotonic() + GIVE_BACK_SECONDS)

    def _join(self, until: float) -> None:
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
        """Runs builds until none is left for us. A fault of the database is waited out by the next poll."""
        try:
            while not self._stopping.is_set():
                # Before the claim: a builder whose children do not start must not use up the attempts of builds.
                warm.wait_ready()
                task = handlers.take(self._work)
                if task is None:
                    return
                attempt = self._running[number] = Attempt(self._work, task)
                if self._giving_back.is_set():
                    attempt.end(STOPPED)
                try:
                    with metrics.SLOTS_BUSY.labels("builder").track_inprogress():
                        attempt.run(warm.take)
                finally:
                    del self._running[number]
                    if not self._stopping.is_set():
                        warm.prepare()
        except CondariumError as error:
            logger.warning("cannot take builds now", reason=str(error))
        except Exception:
            logger.exception("a slot failed; it goes on")
            time.sleep(1.0)
