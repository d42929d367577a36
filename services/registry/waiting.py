"""Pulls of what is still being made: they hold no thread and no database connection while they wait."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from condarium.errors import Unavailable, WorldFault
from condarium.http.feed import Feed, StreamEnded, Subscription
from services.registry.faults import StillMaking
from services.registry.handlers import Found, Pending

#: when a client that was told to come again should
AGAIN_SECONDS = 5.0
#: a database that is away for longer ends a pull
OUTAGE_SECONDS = 5.0
OUTAGE_LOOK_SECONDS = 0.25
STOPPING = "the registry is stopping; pull again in a moment"

Look = Callable[[], Awaitable[Found | Pending]]


class StillWaiting(WorldFault):
    """It is being made; whoever asks again goes on waiting."""


class ClientGone(Exception):
    """Nobody waits any more."""


class Waiting:
    """`poll_seconds` is how often a waiter looks even when no event came."""

    def __init__(self, feed: Feed, *, seconds: float, poll_seconds: float) -> None:
        self._feed = feed
        self._seconds = seconds
        self._poll_seconds = poll_seconds

    async def until_found(self, request: Request, look: Look) -> Found:
        """Looks until the image is there. Raises what `look` raises, StillMaking when it takes too long,
        ClientGone, and Unavailable when this process stops.
        """
        until = time.monotonic() + self._seconds
        found = await self._look(look)
        if isinstance(found, Found):
            return found
        gone = asyncio.ensure_future(_disconnected(request))
        builds = {found.build_id}
        events: Subscription | None = None
        try:
            with contextlib.ExitStack() as stack:
                while True:
                    if events is None and self._feed.ready:
                        events = stack.enter_context(self._feed.events(lambda event: event.build_id in builds))
                    # once more after the subscription began: what happened in between wakes nobody
                    found = await self._look(look)
                    if isinstance(found, Found):
                        return found
                    builds.add(found.build_id)
                    left = until - time.monotonic()
                    if left <= 0:
                        if found.before is not None:
                            return found.before
                        raise StillMaking(f"{found.what}; pull again to go on waiting", AGAIN_SECONDS)
                    await _first(self._tick(events, min(left, self._poll_seconds)), gone)
        finally:
            gone.cancel()

    async def _look(self, look: Look) -> Found | Pending:
        """Docker shows of a 503 its number alone, and ends: what passes in a moment is waited for here."""
        until = time.monotonic() + OUTAGE_SECONDS
        while True:
            try:
                return await look()
            except Unavailable:
                if time.monotonic() > until or self._feed.closed:
                    raise
                await asyncio.sleep(OUTAGE_LOOK_SECONDS)

    async def _tick(self, events: Subscription | None, seconds: float) -> None:
        if events is None:
            # no event can be heard of before the feed has begun
            await self._feed.begun(seconds)
            if self._feed.closed:
                raise Unavailable(STOPPING)
            return
        try:
            await events.next(seconds)
        except StreamEnded:
            raise Unavailable(STOPPING) from None


async def _first(work: Awaitable[None], gone: "asyncio.Future[None]") -> None:
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ClientGone
        task.result()
    finally:
        task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
