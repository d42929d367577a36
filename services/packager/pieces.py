"""Makes what is missing of layers and members: each piece once in the whole installation, however many ask for it."""

import base64
import contextlib
import queue
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from condarium import log, metrics
from condarium.conda.channels import ChannelSettings
from condarium.database import Database, package_access, pieces
from condarium.database.garbage import marks
from condarium.database.pieces import Known, Makers
from condarium.domain.link_order import Member
from condarium.errors import CondariumError, LeaseLost
from condarium.storage import blob_key
from services.packager.children import Desk, Ticket
from services.packager.jobs import JoinJob, PieceJob, TopJob

#: how often it is looked whether somebody else has finished a piece
LOOK_SECONDS = 0.05
#: how long a failed artifact waits for pieces that are still being made
KEEP_SECONDS = 60.0
#: what a killed child left is gone after a day
STALE_SECONDS = 86400.0

logger = log.get(__name__)

Making = PieceJob | JoinJob | TopJob


def ensure(
    database: Database,
    children: Desk,
    wanted: Mapping[str, Making],
    known: Mapping[str, Known],
    *,
    lost: Callable[[], bool],
) -> dict[str, Known]:
    """The pieces of all keys of `wanted`; `known` are those that the caller has found made.

    Raises the first fault of a rendering, LeaseLost when `lost` says so, Unavailable.
    """
    found = {key: known[key] for key in wanted if key in known}
    metrics.PIECES.labels("piece", "known").inc(len(found))
    missing = [key for key in wanted if key not in found]
    if missing:
        # what takes longest first, so that nobody waits for it at the end
        missing.sort(key=lambda key: -wanted[key].size)
        found |= _Making(database, children, {key: wanted[key] for key in missing}, lost).run()
    return found


def _known(database: Database, keys: Iterable[str]) -> dict[str, Known]:
    with database.transaction() as session:
        return pieces.known(session, keys)


class _Making:
    """Gives jobs to the children while it holds their keys; what others hold, it waits for, or takes over."""

    def __init__(
        self, database: Database, children: Desk, missing: Mapping[str, Making], lost: Callable[[], bool]
    ) -> None:
        self._database = database
        self._children = children
        self._missing = missing
        self._lost = lost
        self._makers = Makers(database)
        self._done: queue.Queue[Ticket] = queue.Queue()
        self._todo = deque(missing)
        self._elsewhere: list[str] = []
        self._running: dict[int, tuple[str, Ticket]] = {}
        self._found: dict[str, Known] = {}
        self._ahead = _archives(missing.values())

    def run(self) -> dict[str, Known]:
        try:
            while len(self._found) < len(self._missing):
                if self._lost():
                    raise LeaseLost("somebody else makes this artifact now")
                self._start_some()
                self._take_result()
                if not self._running and not self._todo:
                    self._look_elsewhere()
            return self._found
        except CondariumError:
            self._keep_what_ends_soon()
            raise
        finally:
            self._makers.close()

    def _start_some(self) -> None:
        while self._todo and len(self._running) < self._children.count:
            key = self._todo.popleft()
            if not self._makers.take(key):
                self._elsewhere.append(key)
                continue
            # whoever held it until now has made it
            made = _known(self._database, [key])
            if made:
                self._found |= made
                self._makers.drop(key)
                continue
            ticket = Ticket(self._missing[key], self._done, ahead=self._ahead)
            self._ahead = []
            self._running[id(ticket)] = (key, ticket)
            self._children.submit(ticket)

    def _keep_what_ends_soon(self) -> None:
        """Other pieces that are being made when one fails: the next try need not make them again."""
        until = time.monotonic() + KEEP_SECONDS
        while self._running and not self._lost() and time.monotonic() < until:
            with contextlib.suppress(CondariumError):
                self._take_result()

    def _take_result(self) -> None:
        try:
            ticket = self._done.get(timeout=0.5 if self._running else LOOK_SECONDS)
        except queue.Empty:
            return
        key, _ = self._running.pop(id(ticket))
        if ticket.fault is not None:
            raise ticket.fault
        assert ticket.result is not None
        result = dict(ticket.result)
        paths = base64.b64decode(result.pop("paths", ""))
        piece = Known(key, result.pop("digest"), result.pop("size"), result)
        assert isinstance(ticket.job, Making)
        try:
            with self._database.transaction() as session:
                package_access.fetched(session, scopes_of(ticket.channels, ticket.job.members))
                # Bytes that were garbage a moment ago, and may have been deleted after they were put: once more.
                again = marks.hold(session, [blob_key(piece.digest)])
                if not again:
                    pieces.record(session, piece, kind=ticket.job.kind, paths=paths)
        except marks.Deleting:
            again = frozenset({key})
            time.sleep(LOOK_SECONDS)
        if again:
            self._makers.drop(key)
            self._todo.append(key)
            return
        metrics.PIECES.labels("piece", "made").inc()
        self._found[key] = piece
        self._makers.drop(key)

    def _look_elsewhere(self) -> None:
        """What others have made since; what nobody holds any more is ours to make."""
        self._found |= _known(self._database, self._elsewhere)
        left = [key for key in self._elsewhere if key not in self._found]
        self._elsewhere = []
        self._todo.extend(left)


def scopes_of(channels: ChannelSettings, members: Iterable[Member]) -> dict[str, str]:
    """Whose right it takes to read each of the packages, by sha256."""
    return {member.sha256: channels.scope_of(member.url) for member in members}


def _archives(jobs: Iterable[Making]) -> list[tuple[str, str, int]]:
    """What is to be fetched, in the order of the jobs, each once."""
    wanted = {member.sha256: (member.url, member.sha256, member.size) for job in jobs for member in job.members}
    return list(wanted.values())


def forget_leftovers(spool: Path) -> None:
    """Deletes half-made pieces of children that were killed long ago."""
    if not spool.is_dir():
        return
    for path in spool.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime <= STALE_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
