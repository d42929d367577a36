"""Which transactions have ended: while that is the same, every question has the same answer."""

import asyncio
import contextlib

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database.connection import AWAY, VANISHED
from condarium.errors import Unavailable

ANSWER_SECONDS = 10.0

_NOW = "select pg_current_snapshot()::text"


def of(session: Session) -> str:
    """The state that the transaction's next question sees, or one before it."""
    return str(session.execute(text(_NOW)).scalar_one())


class Snapshots:
    """One connection that tells the state to a process of one event loop, about 10,000 times a second.

    Equal states are equal contents: another transaction that ends changes the state, whatever it wrote.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection | None = None
        self._asking: asyncio.Task[None] | None = None
        self._next: asyncio.Future[str] | None = None

    async def now(self) -> str:
        """The state at some moment after this call began; all who ask at the same time share one question.

        Raises Unavailable.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            # whoever waits may be gone when it fails
            self._next.add_done_callback(lambda future: future.cancelled() or future.exception())
            if self._asking is None:
                self._asking = asyncio.ensure_future(self._answer_all())
        return await asyncio.shield(self._next)

    async def _answer_all(self) -> None:
        try:
            while (waiting := self._next) is not None:
                self._next = None
                try:
                    found = await asyncio.wait_for(self._ask(), ANSWER_SECONDS)
                except (psycopg.Error, TimeoutError, OSError):
                    await self.close()
                    if not waiting.done():
                        waiting.set_exception(Unavailable(AWAY))
                else:
                    if not waiting.done():
                        waiting.set_result(found)
        finally:
            self._asking = None

    async def _ask(self) -> str:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect()
        try:
            cursor = await self._connection.execute(_NOW)
        except psycopg.OperationalError:
            # a server that was started anew has closed it
            await self.close()
            self._connection = await self._connect()
            cursor = await self._connection.execute(_NOW)
        row = await cursor.fetchone()
        assert row is not None
        return str(row[0])

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=5, application_name="condarium-snapshots", **VANISHED
        )

    async def close(self) -> None:
        """The connection is made again when somebody asks."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()
