"""One engine per process; a transaction is a `with` block."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.orm import Session

from condarium import log
from condarium.errors import Unavailable

AWAY = "the database cannot be reached; try again in a moment"
#: A process that is frozen inside a transaction must not hold its rows: others could never claim them.
FROZEN_SECONDS = 10
#: A server that vanished without a word is given up within half a minute, instead of the kernel's quarter of an hour.
VANISHED: dict[str, Any] = {
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000,
}  # fmt: skip
SAY_SECONDS = 5.0
#: what a task leaves behind in a thread when it is cancelled has this long
CLOSE_SECONDS = 2.0
OPTIONS = f"-c timezone=UTC -c idle_in_transaction_session_timeout={FROZEN_SECONDS}s"

logger = log.get(__name__)


def driver_url(url: str) -> str:
    """`postgresql://` as SQLAlchemy names psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


class Database:
    """Connections are made when first used, so a process starts while Postgres is away."""

    def __init__(self, url: str, *, pool_size: int = 8, application: str = "condarium") -> None:
        self.url = url
        self._engine = sqlalchemy.create_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_pre_ping=True,
            connect_args={"application_name": application, "connect_timeout": 5, "options": OPTIONS, **VANISHED},
        )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commits at the end of the block, rolls back on any exception.

        Raises Unavailable when the database cannot be reached or the connection breaks.
        """
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except sqlalchemy.exc.TimeoutError as error:
            logger.warning("no connection to the database became free", reason=str(error))
            raise Unavailable(AWAY) from error
        except sqlalchemy.exc.DBAPIError as error:
            if isinstance(error, sqlalchemy.exc.OperationalError) or error.connection_invalidated:
                # callers are told that it is away; what it was, a deadlock say, only the log can tell
                logger.warning("the database has ended a transaction", reason=str(error.orig).strip())
                raise Unavailable(AWAY) from error
            raise

    def listen(self) -> psycopg.Connection:
        """A direct autocommit connection, for LISTEN and session locks; the caller closes it.

        Raises Unavailable when the database cannot be reached.
        """
        try:
            return psycopg.connect(
                self.url, autocommit=True, connect_timeout=5, application_name="condarium-listen", **VANISHED
            )
        except psycopg.OperationalError as error:
            raise Unavailable(AWAY) from error

    def ping(self) -> None:
        """Raises Unavailable unless the database answers."""
        with self.transaction() as session:
            session.execute(sqlalchemy.text("select 1"))

    def wait_until_up(self, *, seconds: float = 120.0) -> None:
        """For starts. Raises Unavailable, with the reason, when the database does not answer within `seconds`."""
        until = time.monotonic() + seconds
        said = 0.0
        while True:
            try:
                return self.ping()
            except Unavailable as error:
                now = time.monotonic()
                # libpq's words: they name host, port and user, never the password
                reason = str(getattr(error.__cause__, "orig", error.__cause__)).strip()
                if now > until:
                    raise Unavailable(f"the database did not answer within {seconds:g} s: {reason}") from error
                if now - said > SAY_SECONDS:
                    logger.warning("waiting for the database", reason=reason, seconds_left=round(until - now))
                    said = now
                time.sleep(0.25)

    def close(self) -> None:
        """Closes all connections; threads that have one end their transactions before, within CLOSE_SECONDS."""
        pool = self._engine.pool
        until = time.monotonic() + CLOSE_SECONDS
        while isinstance(pool, sqlalchemy.QueuePool) and pool.checkedout() and time.monotonic() < until:
            time.sleep(0.01)
        self._engine.dispose()
