"""Answers of the database that are still right: a manifest that many pull is looked up once.

What was read is good as long as no transaction has ended since, and that is asked anew for each request: nobody is
told what is no longer so, and no answer has a time to live. See docs/adr/0017.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from sqlalchemy.orm import Session

from condarium.database import Database, snapshots
from condarium.database.snapshots import Snapshots
from condarium.errors import Unavailable

T = TypeVar("T")

#: answers that are kept at a time; manifests of 100 layers have 20 kB
MOST = 1000
STOPPING = "the registry is stopping; try again in a moment"


class Remembered:
    """For one event loop."""

    def __init__(self, database: Database, limiter: anyio.CapacityLimiter) -> None:
        self._database = database
        self._limiter = limiter
        self._snapshots = Snapshots(database.url)
        self._state = ""
        self._known: dict[Hashable, Any] = {}
        #: the look that has not begun yet, by key: whoever comes until then is answered by it
        self._next: dict[Hashable, tuple[Callable[[Session], Any], asyncio.Future[Any]]] = {}
        self._looking: dict[Hashable, asyncio.Task[None]] = {}

    async def answer(
        self, key: Hashable, question: Callable[[Session], T], *, keep: Callable[[T], bool] = lambda _: True
    ) -> T:
        """`question` under `key`, asked in a thread unless it was asked before and nothing has changed since.

        What `keep` refuses, and what raises, is not remembered. Questions of one key are equal, and asked one at a
        time. Raises Unavailable and what the question raises.
        """
        state = await self._snapshots.now()
        if state == self._state and key in self._known:
            known: T = self._known[key]
            return known
        if key not in self._next:
            waiting: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            # whoever waits may be gone when it fails
            waiting.add_done_callback(lambda future: future.cancelled() or future.exception())
            self._next[key] = question, waiting
            if key not in self._looking:
                self._looking[key] = asyncio.ensure_future(self._look(key, keep))
        found: T = await asyncio.shield(self._next[key][1])
        return found

    async def _look(self, key: Hashable, keep: Callable[[Any], bool]) -> None:
        try:
            while key in self._next:
                question, waiting = self._next.pop(key)
                try:
                    state, found = await to_thread.run_sync(self._ask, question, limiter=self._limiter)
                except BaseException as error:
                    waiting.set_exception(error if isinstance(error, Exception) else Unavailable(STOPPING))
                    if not isinstance(error, Exception):
                        raise
                else:
                    if keep(found):
                        self._keep(state, key, found)
                    waiting.set_result(found)
        finally:
            del self._looking[key]
            if key in self._next:
                self._next.pop(key)[1].set_exception(Unavailable(STOPPING))

    def _ask(self, question: Callable[[Session], T]) -> tuple[str, T]:
        with self._database.transaction() as session:
            # first the state: what ends in between makes the answer count as older than it is
            return snapshots.of(session), question(session)

    def _keep(self, state: str, key: Hashable, found: object) -> None:
        if state != self._state or len(self._known) >= MOST:
            self._state, self._known = state, {}
        self._known[key] = found

    async def close(self) -> None:
        for looking in list(self._looking.values()):
            looking.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)
        await self._snapshots.close()
