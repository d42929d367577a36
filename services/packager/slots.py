"""Slots make artifacts: each takes one after the other until none is left, then sleeps until it is woken."""

import secrets
import threading
import time

from condarium import log, metrics
from condarium.errors import CondariumError
from condarium.work.bell import Bell
from services.packager import handlers
from services.packager.children import Children
from services.packager.handlers import Work
from services.packager.making import Making

#: what runs may take this long after a stop before its children are killed
DRAIN_SECONDS = 5.0

logger = log.get(__name__)


class Slots:
    """`wake` may be called by any thread, at any time, and costs nothing."""

    def __init__(self, work: Work, children: Children) -> None:
        self._work = work
        self._children = children
        self._stopping = threading.Event()
        self._bell = Bell()
        self._threads = [
            threading.Thread(target=self._serve, name=f"slot-{number}", daemon=True)
            for number in range(work.settings.packager_slots)
        ]

    def start(self) -> None:
        self._children.start()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        self._bell.ring()

    def stop(self) -> None:
        """Takes no more, lets what runs finish for a while, gives back the rest."""
        self._stopping.set()
        self.wake()
        until = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._children.stop()
        for thread in self._threads:
            thread.join(10.0)

    def _serve(self) -> None:
        seen = -1
        while not self._stopping.is_set():
            seen = self._bell.wait(seen, self._work.settings.poll_seconds)
            self._drain()

    def _drain(self) -> None:
        """Makes artifacts until none is left. A fault of the database is waited out by the next poll."""
        try:
            while not self._stopping.is_set():
                # a name of its own for each claim: attempts count anew after a retry, and must not be mistaken
                task = handlers.take(self._work, f"{self._work.owner}:{secrets.token_hex(4)}")
                if task is None:
                    return
                with metrics.SLOTS_BUSY.labels("packager").track_inprogress():
                    Making(self._work, self._children, task, stopping=self._stopping.is_set).run()
        except CondariumError as error:
            logger.warning("cannot make artifacts now", reason=str(error))
        except Exception:
            logger.exception("a slot failed; it goes on")
            time.sleep(1.0)
