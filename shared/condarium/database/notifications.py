"""What Postgres tells those who LISTEN, for asyncio processes: one connection each, however many wait."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from condarium import log

#: how often the connection is tried out, and listeners look by themselves
TICK_SECONDS = 5.0
BACKOFF_CAP_SECONDS = 5.0

logger = log.get(__name__)


@dataclass(frozen=True)
class Notification:
    """`channel` is empty when anything may have happened: after each connect, and at each tick."""

    channel: str = ""
    payload: str = ""


async def follow(url: str, channels: Sequence[str]) -> AsyncGenerator[Notification, None]:
    """Never ends and never raises: a broken connection is made again, with growing waits. Cancel it to stop."""
    wait = 0.0
    while True:
        try:
            async with await _connect(url) as connection:
                for channel in channels:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                wait = 0.0
                while True:
                    yield Notification()
                    async for found in connection.notifies(timeout=TICK_SECONDS):
                        yield Notification(found.channel, found.payload)
                    await connection.execute("select 1")
        except psycopg.Error as error:
            if wait == 0.0:
                logger.warning("listening: the database is away, will try again", reason=str(error).strip())
            wait = min(BACKOFF_CAP_SECONDS, max(0.2, wait * 2))
            await asyncio.sleep(wait)


async def _connect(url: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        connect_timeout=5,
        application_name="condarium-listen",
        # A host that vanished without a word is noticed within half a minute.
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    )
