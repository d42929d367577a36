"""A notification of Postgres as a call, for processes of threads (`notifications` is for those of asyncio)."""

import threading
from collections.abc import Callable

import psycopg
from psycopg import sql

from condarium import log
from condarium.database.connection import Database
from condarium.errors import Unavailable

#: how often the connection is tried out
TICK_SECONDS = 1.0
AGAIN_SECONDS = 2.0

logger = log.get(__name__)


def follow(database: Database, channel: str, wake: Callable[[], None], stopped: threading.Event) -> None:
    """Calls `wake` at each notification, and after each connect, until stopped. Never raises; poll beside it."""
    while not stopped.is_set():
        try:
            connection = database.listen()
            try:
                connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                wake()
                while not stopped.is_set():
                    for _ in connection.notifies(timeout=TICK_SECONDS, stop_after=1):
                        wake()
                    connection.execute("select 1")
            finally:
                connection.close()
        except (Unavailable, psycopg.Error) as error:
            logger.warning("cannot listen, will try again", channel=channel, reason=str(error).strip())
            stopped.wait(AGAIN_SECONDS)
