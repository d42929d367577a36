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

T = TypeVar("T")

#: answers that are kept at a time; manifests of 100 layers have 20 kB
MOST = 1000
#: how often somebody who finds others at the same question waits for them, before it asks by itself
WAITS = 2


class Remembered:
    """For one event loop."""

    def __init__(self, database: Database, limiter: anyio.CapacityLimiter) -> None:
        self._database = database
        self._limiter = limiter
        self._snapshots = Snapshots(database.url)
        self._state = ""
        self._known: dict[Hashable, Any] = {}
        self._asking: dict[Hashable, asyncio.Event] = {}

    async def answer(
        self, key: Hashable, question: Callable[[Session], T], *, keep: Callable[[T], bool] = lambda _: True
    ) -> T:
        """`question` under `key`, asked in a thread unless it was asked before and nothing has changed since.

        What `keep` refuses, and what raises, is not remembered. Raises Unavailable and what the question raises.
        """
        for _ in range(WAITS + 1):
            state = await self._snapshots.now()
            if state == self._state and key in self._known:
                found: T = self._known[key]
                return found
            others = self._asking.get(key)
            if others is None:
                break
            await others.wait()
        mine = self._asking.setdefault(key, asyncio.Event())
        try:
            state, found = await to_thread.run_sync(self._ask, question, limiter=self._limiter)
        finally:
            self._asking.pop(key, None)
            mine.set()
        if keep(found):
            self._keep(state, key, found)
        return found

    def _ask(self, question: Callable[[Session], T]) -> tuple[str, T]:
        with self._database.transaction() as session:
            # first the state: what ends in between makes the answer count as older than it is
            return snapshots.of(session), question(session)

    def _keep(self, state: str, key: Hashable, found: object) -> None:
        if state != self._state or len(self._known) >= MOST:
            self._state, self._known = state, {}
        self._known[key] = found

    async def close(self) -> None:
        await self._snapshots.close()
