"""Wakes the coroutines of this process that wait for events or log chunks: one LISTEN and one reader for all."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress

from starlette.concurrency import run_in_threadpool

from condarium import log, metrics
from condarium.database import Database, logs, notifications, outbox
from condarium.database.notifications import Notification
from condarium.database.outbox import Stored
from condarium.errors import Unavailable

#: events a subscriber may lie behind before it is cut; it comes back with the position it has
QUEUE_SIZE = 1000
#: a process that has just started follows events within moments
BEGIN_SECONDS = 5.0
BATCH = 500

logger = log.get(__name__)


class StreamEnded(Exception):
    """The subscriber was too slow, or the process stops: whoever follows comes back with its position."""


class Subscription:
    """Events behind `position`, in order."""

    def __init__(self, accepts: Callable[[Stored], bool], position: int, size: int) -> None:
        self.position = position
        self._accepts = accepts
        self._queue: asyncio.Queue[Stored | None] = asyncio.Queue(size + 1)
        self._size = size
        self._ended = False

    async def next(self, timeout: float) -> Stored | None:
        """The next event, or None after `timeout` seconds without one. Raises StreamEnded."""
        try:
            found = await asyncio.wait_for(self._queue.get(), timeout)
        except TimeoutError:
            return None
        if found is None:
            raise StreamEnded
        return found

    def offer(self, event: Stored) -> None:
        if self._ended or event.seq <= self.position or not self._accepts(event):
            return
        if self._queue.qsize() >= self._size:
            self.end()
        else:
            self._queue.put_nowait(event)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            # One place of the queue is kept for this.
            self._queue.put_nowait(None)


class Feed:
    """`run` as a task of the process; everything else is called in its loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position: int | None = None
        self._subscriptions: set[Subscription] = set()
        self._followers: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._listeners: dict[str, Callable[[], None]] = {}
        self._closed = False
        self._begun = asyncio.Event()

    def when(self, channel: str, listener: Callable[[], None]) -> None:
        """Calls `listener` at each notification of the channel, and whenever some may have been missed."""
        self._listeners[channel] = listener

    async def run(self) -> None:
        """Until cancelled."""
        channels = [outbox.NUMBERED_CHANNEL, logs.CHANNEL, *self._listeners]
        # closed here, not by the garbage collector: it holds a connection
        async with aclosing(notifications.follow(self._database.url, channels)) as notes:
            async for note in notes:
                await self._take(note)

    async def _take(self, note: Notification) -> None:
        if note.channel == logs.CHANNEL:
            # Anybody who may connect to the database may notify.
            if note.payload.isdecimal():
                self._wake(int(note.payload))
            return
        if note.channel in self._listeners:
            self._listeners[note.channel]()
            return
        if not note.channel:
            for listener in self._listeners.values():
                listener()
            for build_id in list(self._followers):
                self._wake(build_id)
        await self._catch_up()

    def close(self) -> None:
        """Ends all streams, and those that come later at once."""
        self._closed = True
        self._begun.set()
        for subscription in list(self._subscriptions):
            subscription.end()
        for build_id in list(self._followers):
            self._wake(build_id)

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def ready(self) -> bool:
        """Whether the database has answered: only then can events be followed."""
        return self._position is not None

    async def begun(self, timeout: float = BEGIN_SECONDS) -> None:
        """Returns when events can be followed, when the process stops, or after `timeout` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), timeout)

    @contextmanager
    def events(self, accepts: Callable[[Stored], bool], *, size: int = QUEUE_SIZE) -> Iterator[Subscription]:
        """Everything that gets its number from now on. Raises Unavailable while the database has not answered yet."""
        if self._position is None:
            raise Unavailable("events cannot be followed before the database has answered; try again in a moment")
        subscription = Subscription(accepts, self._position, size)
        if self._closed:
            subscription.end()
        self._subscriptions.add(subscription)
        metrics.EVENT_STREAMS.inc()
        try:
            yield subscription
        finally:
            metrics.EVENT_STREAMS.dec()
            self._subscriptions.discard(subscription)

    @contextmanager
    def log_of(self, build_id: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever the build may have got log chunks or events; whoever waits clears it first."""
        event = asyncio.Event()
        self._followers[build_id].add(event)
        try:
            yield event
        finally:
            self._followers[build_id].discard(event)
            if not self._followers[build_id]:
                del self._followers[build_id]

    def _wake(self, build_id: int) -> None:
        for event in self._followers.get(build_id, ()):
            event.set()

    async def _catch_up(self) -> None:
        """Reads what is new, once for all subscribers."""
        try:
            if self._position is None:
                self._position = await run_in_threadpool(self._last)
                self._begun.set()
            while events := await run_in_threadpool(self._read, self._position):
                for event in events:
                    if event.build_id is not None:
                        self._wake(event.build_id)
                    for subscription in list(self._subscriptions):
                        subscription.offer(event)
                self._position = events[-1].seq
        except Unavailable as error:
            # The next tick comes back here.
            logger.warning("events cannot be read, will try again", reason=str(error))
        except Exception:  # one bad read must not end all streams for good
            logger.exception("events cannot be read, will try again")

    def _last(self) -> int:
        with self._database.transaction() as session:
            return outbox.last_seq(session)

    def _read(self, position: int) -> list[Stored]:
        with self._database.transaction() as session:
            return outbox.after(session, position, limit=BATCH)
