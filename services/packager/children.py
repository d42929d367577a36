"""Warm child processes for many jobs: as many as there are lanes, each replaced when it dies."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from condarium import log
from condarium.conda.channels import ChannelSettings
from condarium.domain.lock import Lock
from condarium.errors import CondariumError, Unavailable, WorldFault
from condarium.work.child import Child, ChildFault
from services.packager.jobs import (
    LOCKS_KEPT,
    FetchJob,
    JoinJob,
    PackageJob,
    PieceJob,
    ProbeJob,
    Setup,
    TextJob,
    TopJob,
    fault_from_json,
)

#: a job that takes longer is given up, with its child
JOB_SECONDS = 1800.0

logger = log.get(__name__)

Job = PieceJob | JoinJob | TopJob | ProbeJob | TextJob | FetchJob | PackageJob


@dataclass
class Ticket:
    """A job on its way; it comes back in `done` with a result or a fault."""

    job: Job
    done: "queue.Queue[Ticket]"
    #: where archives come from, with the credentials of this job
    channels: ChannelSettings = field(default_factory=ChannelSettings)
    #: [url, sha256, size] of archives that following jobs will need
    ahead: list[tuple[str, str, int]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    fault: CondariumError | None = None


class Children:
    """`submit` returns at once. Jobs are taken in the order in which they come."""

    def __init__(self, start: Callable[[], Child], setup: Setup, *, count: int) -> None:
        self.count = count
        self._start = start
        self._setup = setup
        self._waiting: queue.Queue[Ticket | None] = queue.Queue()
        self._stopping = threading.Event()
        self._lanes = [_Lane(self, number) for number in range(count)]

    def start(self) -> None:
        """Starts the children ahead of any work."""
        for lane in self._lanes:
            lane.thread.start()

    def submit(self, ticket: Ticket) -> None:
        self._waiting.put(ticket)

    def using(self, channels: ChannelSettings) -> "Desk":
        """The children as the jobs of one artifact see them."""
        return Desk(self, channels)

    def stop(self) -> None:
        """Kills the children; whoever waits for a job gets Unavailable."""
        self._stopping.set()
        for lane in self._lanes:
            self._waiting.put(None)
            lane.kill()
        for lane in self._lanes:
            if lane.thread.ident is not None:
                lane.thread.join(10)
        while True:
            try:
                ticket = self._waiting.get_nowait()
            except queue.Empty:
                return
            if ticket is not None:
                ticket.fault = Unavailable("the packager is stopping")
                ticket.done.put(ticket)


@dataclass(frozen=True)
class Desk:
    """Where jobs are handed in that need the same credentials."""

    children: Children
    channels: ChannelSettings

    @property
    def count(self) -> int:
        return self.children.count

    def submit(self, ticket: Ticket) -> None:
        ticket.channels = self.channels
        self.children.submit(ticket)

    def run(self, job: Job) -> dict[str, Any]:
        """Waits for one job's result. Raises its fault."""
        done: queue.Queue[Ticket] = queue.Queue()
        self.submit(Ticket(job, done))
        ticket = done.get()
        if ticket.fault is not None:
            raise ticket.fault
        assert ticket.result is not None
        return ticket.result


class _Lane:
    """One child and the thread that talks to it; the thread lives as long as the process, as the child must."""

    def __init__(self, owner: Children, number: int) -> None:
        self._owner = owner
        self._child: Child | None = None
        self._known: set[str] = set()
        self._channels: ChannelSettings | None = None
        self._jobs = 0
        self.thread = threading.Thread(target=self._serve, name=f"renderer-{number}", daemon=True)

    def kill(self) -> None:
        child = self._child
        if child is not None:
            child.kill()

    def _serve(self) -> None:
        owner = self._owner
        self._warm_up()
        while True:
            ticket = owner._waiting.get()
            if ticket is None:
                break
            try:
                ticket.result = self._run(ticket)
            except CondariumError as error:
                ticket.fault = error
            except Exception as error:  # whoever waits must get an answer
                logger.exception("a rendering failed")
                ticket.fault = WorldFault(f"the rendering failed unexpectedly: {error!r}")
            if ticket.fault is not None and owner._stopping.is_set():
                ticket.fault = Unavailable("the packager is stopping")
            ticket.done.put(ticket)
        self.kill()

    def _warm_up(self) -> None:
        try:
            self._ready()
        except CondariumError as error:
            logger.warning("a renderer did not start; it is tried again with the next job", reason=str(error))

    def _ready(self) -> Child:
        if self._child is not None and self._child.alive:
            return self._child
        self.kill()
        if self._owner._stopping.is_set():
            raise Unavailable("the packager is stopping")
        child = self._child = self._owner._start()
        self._known.clear()
        self._channels = None
        child.wait_ready()
        child.send({"setup": self._owner._setup.to_json()})
        return child

    def _run(self, ticket: Ticket) -> dict[str, Any]:
        child = self._ready()
        try:
            if ticket.channels != self._channels:
                child.send({"channels": ticket.channels.to_json()})
                self._channels = ticket.channels
            if ticket.ahead:
                child.send({"ahead": ticket.ahead})
            self._teach(child, _locks(ticket.job))
            self._jobs += 1
            child.send({"job": self._jobs, **ticket.job.to_json()})
            return self._result(child)
        except (ChildFault, OSError) as error:
            status = child.kill()
            raise ChildFault(f"the renderer died (exit status {status}): {error}") from error

    def _teach(self, child: Child, locks: Iterable[Lock]) -> None:
        """Sends what the child does not know yet; when that is too much for it, it forgets everything before."""
        needed = {lock.hash: lock for lock in locks}
        if len(self._known | needed.keys()) > LOCKS_KEPT:
            child.send({"forget": True})
            self._known.clear()
        for sha256, lock in needed.items():
            if sha256 not in self._known:
                child.send({"lock": lock.to_json()})
                self._known.add(sha256)

    def _result(self, child: Child) -> dict[str, Any]:
        until = time.monotonic() + JOB_SECONDS
        while True:
            try:
                message = child.receive(timeout=until - time.monotonic())
            except TimeoutError:
                raise ChildFault(f"a rendering took longer than {JOB_SECONDS:g} s") from None
            if message is None:
                raise ChildFault("it ended in the middle of a job")
            if message.get("job") != self._jobs:
                continue
            if message["event"] == "failed":
                raise fault_from_json(message)
            result: dict[str, Any] = message["result"]
            return result


def _locks(job: Job) -> Iterable[Lock]:
    if isinstance(job, FetchJob | PackageJob):
        return []
    return [job.lock] if isinstance(job, PieceJob) else job.locks
