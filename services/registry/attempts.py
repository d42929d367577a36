"""Guessing is slow: credentials that nobody has are counted per address, over all copies of registry and gateway."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread

from condarium.database import Database, login_attempts
from condarium.domain.defaults import digest
from condarium.errors import NotAuthorized, TooManyRequests

#: how long a credential that was good is not counted again: a wrong one cannot have been
GOOD_SECONDS = 3600.0
_MOST_GOOD = 10_000


class Attempts:
    """The limits and the table are those of the gateway's logins: one address has one number of guesses."""

    def __init__(
        self, database: Database, secret: str, limiter: anyio.CapacityLimiter, *, limit: int, window_seconds: float
    ) -> None:
        self._database = database
        self._secret = secret
        self._limiter = limiter
        self._limit = limit
        self._window_seconds = window_seconds
        self._good: dict[bytes, float] = {}
        #: who looks at a credential, and how many wait for that
        self._checking: dict[bytes, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def counted(
        self, credential: str, address: str | None, denied: Callable[[], None] = lambda: None
    ) -> AsyncIterator[None]:
        """One attempt with `credential`; it counts if the block raises NotAuthorized.

        Raises TooManyRequests when there were too many, without running the block: a right credential is not told
        from a wrong one then. `denied` is called for what counts.
        """
        known = digest(credential)
        # One look at a time for each credential: a client that comes with many requests at once, all with the same
        # good token, has made one attempt.
        checking, waiting = self._checking.get(known, (anyio.Lock(), 0))
        self._checking[known] = checking, waiting + 1
        try:
            if self._is_good(known):
                yield
                return
            async with checking:
                if self._is_good(known):
                    yield
                    return
                async with self._attempt(known, address, denied):
                    yield
        finally:
            checking, waiting = self._checking.pop(known)
            if waiting > 1:
                self._checking[known] = checking, waiting - 1

    def _is_good(self, known: bytes) -> bool:
        return time.monotonic() < self._good.get(known, 0.0)

    @asynccontextmanager
    async def _attempt(self, known: bytes, address: str | None, denied: Callable[[], None]) -> AsyncIterator[None]:
        limits = {login_attempts.subject("address", address or "", self._secret): self._limit}
        ids, wait = await to_thread.run_sync(
            lambda: login_attempts.begin(self._database, limits, window_seconds=self._window_seconds),
            limiter=self._limiter,
        )
        if wait:
            await self._uncount(ids)
            denied()
            raise TooManyRequests(f"too many wrong credentials; try again in {wait:.0f} seconds", retry_after=wait)
        try:
            yield
        except NotAuthorized:
            denied()
            raise
        await self._uncount(ids)
        if len(self._good) >= _MOST_GOOD:
            self._good.clear()
        self._good[known] = time.monotonic() + GOOD_SECONDS

    async def _uncount(self, ids: list[int]) -> None:
        def uncount() -> None:
            with self._database.transaction() as session:
                login_attempts.uncount(session, ids)

        await to_thread.run_sync(uncount, limiter=self._limiter)
