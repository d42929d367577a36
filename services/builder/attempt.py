"""One attempt of one build: the child works, the parent keeps the lease, writes the rows and knows when to stop.

Three things happen beside each other: the child's messages are read here, a thread extends the lease and looks for
a cancel, and whatever ends the attempt early kills the child's whole process group.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from condarium import log, metrics
from condarium.domain.lock import Lock
from condarium.errors import CondariumError, LeaseLost, Unavailable, WorldFault
from condarium.work.child import Child, Message
from services.builder import handlers, symlink
from services.builder.handlers import Linked, Task, Work
from services.builder.job_making import make_job
from services.builder.logbook import Logbook

logger = log.get(__name__)

#: why an attempt was ended from outside
CANCELED, LOST, STOPPED, TIMED_OUT = "canceled", "lost", "stopped", "timed out"
#: the most characters of a child's last words that go into a row and an event; the log has them all
SHOWN_CHARACTERS = 20_000


class Attempt:
    """`run` returns when the build has gone on, to whatever state."""

    def __init__(self, work: Work, task: Task) -> None:
        self.work, self.task = work, task
        self._book = Logbook(build_id=task.build_id, attempt=task.attempt, cap_bytes=work.settings.builder_log_bytes)
        self._timings: dict[str, float] = {}
        self._locks: dict[str, Lock] = {}
        self._ended = threading.Event()
        self._look = threading.Event()
        self._said = 0.0
        self._why: str | None = None
        self._child: Child | None = None
        self._mutex = threading.Lock()

    def run(self, take_child: Callable[[], Child]) -> None:
        """Runs the child that `take_child` gives. It ends at the latest with its lease."""
        with log.bound(build=self.task.build_id, attempt=self.task.attempt):
            beating = threading.Thread(target=self._beat, name=f"lease-{self.task.build_id}", daemon=True)
            beating.start()
            try:
                self._run_safely(take_child)
            except LeaseLost as error:
                logger.warning("the lease is lost; nothing is written", reason=str(error))
                metrics.LEASES_LOST.labels("builds").inc()
            finally:
                self._ended.set()
                self._look.set()
                self._kill()
                beating.join()

    def end(self, why: str) -> None:
        """Ends the attempt from outside; the first reason stands."""
        with self._mutex:
            self._why = self._why or why
        self._kill()

    def look(self) -> None:
        """Makes the next heartbeat happen now."""
        self._look.set()

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _run_safely(self, take_child: Callable[[], Child]) -> None:
        try:
            self._run(take_child)
        except CondariumError:
            raise
        except Exception as error:
            # Nobody else would touch the build until its lease ends, and then nobody would know why.
            logger.exception("an attempt failed in the builder itself")
            said = f"the builder failed on it: {type(error).__name__}"
            self._persist(lambda: handlers.troubled(self.work, self.task, said, self._book))

    def _run(self, take_child: Callable[[], Child]) -> None:
        outcome: Message | None = None
        try:
            self._child = child = take_child()
            if self._why is None:
                child.send(make_job(self.work, self.task).to_json())
                outcome = self._follow(child)
        except (WorldFault, Unavailable) as error:
            outcome = {"event": "failed", "kind": "world", "message": str(error)}
        self._conclude(outcome)

    def _follow(self, child: Child) -> Message | None:
        """Reads the child until it has linked or failed; None when it just ended."""
        while True:
            try:
                message = child.receive(timeout=1.0)
            except TimeoutError:
                self._book.flush(self.work.database)
                continue
            except OSError:
                return None
            if message is None:
                return None
            if message["event"] in ("linked", "failed"):
                return message
            self._note(message)
            self._book.flush(self.work.database)

    def _note(self, message: Message) -> None:
        match message["event"]:
            case "log":
                self._book.write(str(message["text"]))
            case "phase" if message["state"] == "finished":
                self._timings[message["name"]] = round(float(message["seconds"]), 4)
                self._book.write(f"{message['name']}: {message['seconds']:.2f} s")
            case "progress":
                self._say_progress(message)
            case "solved":
                self._locks = {platform: Lock.from_json(raw) for platform, raw in message["locks"].items()}
                self._persist(lambda: handlers.solved(self.work, self.task, self._locks))
            case _:
                pass

    def _say_progress(self, message: Message) -> None:
        """At most one line a second, and the last."""
        now = time.monotonic()
        if now - self._said < 1.0 and message["done"] != message["total"]:
            return
        self._said = now
        megabytes = f"{message['bytes'] / 1e6:.0f} of {message['bytes_total'] / 1e6:.0f} MB"
        self._book.write(f"fetched {message['done']} of {message['total']} packages, {megabytes}")

    def _conclude(self, outcome: Message | None) -> None:
        work, task, book = self.work, self.task, self._book
        if self._why == LOST:
            raise LeaseLost(f"build {task.build_id}: the lease ended before the work did")
        if self._why == CANCELED:
            self._persist(lambda: handlers.canceled(work, task, book))
        elif self._why == STOPPED:
            self._persist(lambda: handlers.given_back(work, task, book))
        elif self._why == TIMED_OUT:
            limit = work.settings.builder_time_limit_seconds
            said = f"the build took longer than {limit:g} s (CONDARIUM_BUILDER_TIME_LIMIT_SECONDS)"
            self._persist(lambda: handlers.failed(work, task, reason="time-limit", message=said, book=book))
        elif outcome is None:
            status = self._child.kill() if self._child else None
            said = f"the build's process died (exit status {status})"
            self._persist(lambda: handlers.troubled(work, task, said, book))
        elif outcome["event"] == "linked":
            self._complete(outcome)
        else:
            self._fail(outcome)

    def _complete(self, outcome: Message) -> None:
        work, task = self.work, self.task
        linked = Linked(outcome["lock_hash"], int(outcome["size"]), self._timings, outcome.get("links") or {})
        self._book.write("reused the prefix that is there" if outcome.get("reused") else "completed")
        try:
            current = self._persist(lambda: handlers.completed(work, task, linked, self._book))
        except WorldFault as error:
            said = str(error)
            metrics.BUILD_RETRIES.inc()
            self._persist(lambda: handlers.troubled(work, task, said, self._book))
            return
        self._ended.set()
        if current is None:
            return
        for phase, seconds in self._timings.items():
            metrics.PHASE_SECONDS.labels(phase).observe(seconds)
        logger.info("completed", current=current, seconds=self._timings)
        if current:
            symlink.render(work.database, work.store.directory, task.namespace, task.name)

    def _fail(self, outcome: Message) -> None:
        work, task, book = self.work, self.task, self._book
        message = _shown(str(outcome["message"]))
        book.write(message)
        if outcome["kind"] == "input":
            reason = str(outcome.get("reason") or "input")
            self._persist(lambda: handlers.failed(work, task, reason=reason, message=message, book=book))
            logger.info("failed", reason=reason)
            return
        logger.warning("troubled", kind=outcome["kind"], error=message)
        after = outcome.get("retry_after")
        metrics.BUILD_RETRIES.inc()
        self._persist(lambda: handlers.troubled(work, task, message, book, retry_after=after))

    def _persist(self, write: Callable[[], Any]) -> Any:
        """Writes, however often it takes: only the loss of the lease makes it pointless."""
        wait = 0.1
        while True:
            try:
                return write()
            except Unavailable:
                if self._why == LOST:
                    raise LeaseLost("the lease ended while the database was away") from None
                time.sleep(wait)
                wait = min(2.0, wait * 2)

    def _beat(self) -> None:
        settings = self.work.settings
        started = extended = time.monotonic()
        while True:
            self._look.wait(settings.heartbeat_seconds)
            self._look.clear()
            if self._ended.is_set():
                return
            asked = time.monotonic()
            try:
                if handlers.beat(self.work, self.task):
                    self.end(CANCELED)
                extended = asked
            except LeaseLost:
                self.end(LOST)
                return
            except Exception as error:
                if not isinstance(error, Unavailable):
                    logger.exception("a heartbeat failed", build=self.task.build_id)
                if time.monotonic() - extended > settings.lease_seconds:
                    self.end(LOST)
                    return
            if time.monotonic() - started > settings.builder_time_limit_seconds:
                self.end(TIMED_OUT)


def _shown(message: str) -> str:
    """A child's last words as a row can hold them: Postgres has no NUL."""
    if len(message) > SHOWN_CHARACTERS:
        message = f"{message[:SHOWN_CHARACTERS]} ... (the log has the rest)"
    return message.replace("\0", "\ufffd")
