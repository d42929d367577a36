"""Keeps the package index current: claims parts of channels that are due, and has a child read each.

One thread, one child at a time. Copies of the watcher share the work by claims; whoever dies is taken over when its
lease ends.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from condarium import log, metrics
from condarium.database import Database, channels
from condarium.database.channels import CLAIMABLE, Task
from condarium.database.leases import extend
from condarium.errors import CondariumError, LeaseLost, Unavailable, WorldFault
from condarium.work import channel_access
from condarium.work.child import Child, Message
from services.watcher.channel_part import Job
from services.watcher.indexing_plan import Plan, Wish

logger = log.get(__name__)

#: a part that takes longer is given up until later, with its child
LONGEST_SECONDS = 3600.0
LAST_WORD_SECONDS = 2.0


class Indexing:
    """A thread; `stop` gives back what runs."""

    def __init__(self, database: Database, plan: Plan, *, owner: str, start_child: Callable[[], Child]) -> None:
        """`owner` names this process in leases."""
        self._database, self._plan, self._owner = database, plan, owner
        self._start_child = start_child
        self._child: Child | None = None
        self._wish: Wish | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="indexing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._child is not None:
            self._child.kill()
        self._thread.join(10.0)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                while not self._stopped.is_set() and self.work():
                    pass
            except CondariumError as error:
                logger.warning("channels cannot be indexed now", reason=str(error))
            except Exception:
                logger.exception("indexing failed; it goes on")
            self._stopped.wait(self._plan.poll_seconds)

    def work(self) -> bool:
        """Does the next piece of work; False when there is none. Raises Unavailable."""
        self._register()
        with self._database.transaction() as session:
            task = channels.take(session, owner=self._owner, lease_seconds=self._plan.lease_seconds)
        if task is not None:
            with log.bound(channel=task.channel, part=task.part):
                self._index(task)
            return True
        with self._database.transaction() as session:
            forgotten = channels.forget(session)
        if forgotten:
            logger.info("a channel is indexed no more", channel=forgotten)
        return forgotten is not None

    def _register(self) -> None:
        """Administrators may change what is indexed at any time."""
        with self._database.transaction() as session:
            wish = self._plan.wish(session)
            if wish != self._wish:
                channels.register(session, wish.urls, wish.parts)
        self._wish = wish

    def _index(self, task: Task) -> None:
        try:
            message = self._follow(task)
        except LeaseLost as error:
            logger.warning("the lease is lost; nothing is written", reason=str(error))
            metrics.LEASES_LOST.labels("channel_syncs").inc()
            return
        except WorldFault as error:
            message = {"event": "failed", "message": str(error), "retry_after": error.retry_after}
        finally:
            child, self._child = self._child, None
            if child is not None:
                child.kill()
        self._conclude(task, message)

    def _follow(self, task: Task) -> Message:
        """The child's last word; the lease is extended meanwhile. Raises LeaseLost, and WorldFault for a dead child."""
        job = self._job(task).to_json()
        self._child = child = self._start_child()
        child.wait_ready()
        child.send(job)
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            if self._stopped.is_set():
                raise WorldFault("the watcher stops")
            try:
                message = child.receive(timeout=self._plan.heartbeat_seconds)
            except TimeoutError:
                try:
                    self._extend(task)
                except LeaseLost:
                    # Either it is lost, or the child has just ended it and is about to say so.
                    message = _last_word(child)
                    if message is None:
                        raise
                    return message
                continue
            if message is None:
                raise WorldFault("the process that indexed it died")
            return message
        raise WorldFault(f"reading it took more than {LONGEST_SECONDS:g} s")

    def _job(self, task: Task) -> Job:
        plan = self._plan
        found = plan.channels
        if plan.vault is not None:
            # Looked up for every job anew: what was rotated holds from the next one on.
            with self._database.transaction() as session:
                found = channel_access.for_specification(
                    session, plan.vault, plan.channels, namespace="", channels=[task.channel]
                )
        return Job(
            database_url=self._database.url,
            claim=asdict(task.held),
            channel_id=task.channel_id,
            channel=task.channel,
            part=task.part,
            seen=dict(task.seen),
            records=task.records,
            settings=found.to_json(),
            again_seconds=plan.every_seconds,
        )

    def _extend(self, task: Task) -> None:
        try:
            with self._database.transaction() as session:
                extend(session, CLAIMABLE, task.held, lease_seconds=self._plan.lease_seconds)
        except Unavailable as error:
            # The lease may still stand when the database is back; else the next try says that it is lost.
            logger.warning("the lease cannot be extended now", reason=str(error))

    def _conclude(self, task: Task, message: Message) -> None:
        if message["event"] == "done":
            outcome = "changed" if message["changed"] else "unchanged"
            logger.info("indexed", **{name: value for name, value in message.items() if name != "event"})
        elif self._stopped.is_set():
            outcome = "given back"
            self._end(task, lambda session: channels.give_back(session, task.held))
        else:
            outcome = "failed"
            self._fail(task, str(message["message"]), message.get("retry_after"))
        metrics.CHANNEL_SYNCS.labels(outcome).inc()

    def _fail(self, task: Task, text: str, retry_after: float | None) -> None:
        wait = self._plan.retry.delay(task.failures + 1, jitter=random.random(), retry_after=retry_after)
        logger.warning("a channel cannot be read", reason=text, again_seconds=round(wait, 1))
        self._end(task, lambda session: channels.failed(session, task.held, message=text, again_seconds=wait))

    def _end(self, task: Task, write: Callable[..., None]) -> None:
        try:
            with self._database.transaction() as session:
                write(session)
        except LeaseLost as error:
            logger.warning("the lease is lost; nothing is written", reason=str(error))
            metrics.LEASES_LOST.labels("channel_syncs").inc()


def _last_word(child: Child) -> Message | None:
    """That it is done, if it says so within a moment."""
    try:
        message = child.receive(timeout=LAST_WORD_SECONDS)
    except TimeoutError:
        return None
    return message if message is not None and message["event"] == "done" else None
