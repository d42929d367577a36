"""Single statements that only read, asked from a coroutine: what lists need, which are asked for more than all else.

A statement is compiled once and then is text with values: building it anew would cost more than asking it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import quote
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.psycopg import dialect

from condarium.database.connection import AWAY, OPTIONS, VANISHED
from condarium.errors import Unavailable

#: a read that takes longer is given up
SECONDS = 30.0
#: for statements this short: nothing is gained by compiling them or by helpers that have to be started, and what they
#: want is the first rows of an index in its order, not many rows in any order
READ_ONLY = " ".join(
    (
        OPTIONS,
        "-c default_transaction_read_only=on",
        "-c jit=off",
        "-c max_parallel_workers_per_gather=0",
        "-c enable_bitmapscan=off",
    )
)

_DIALECT = dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Prepared:
    """A compiled statement, with parameters for what is not known before it is asked."""

    sql: str

    def cut(self, **numbers: int) -> str:
        """The text with the numbers written into it: planned for a parameter, LIMIT would mean a tenth of the table."""
        sql = self.sql
        for name, number in numbers.items():
            sql = sql.replace(f"%({name})s::BIGINT", str(int(number)))
        return sql


def prepare(statement: Select[*tuple[Any, ...]]) -> Prepared:
    """Values that the statement holds are written into the text, for Postgres to plan with; bindparams of None stay.

    Numbers for `Prepared.cut` are such parameters of type bigint.
    """
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    sql = str(compiled)
    for name, value in compiled.params.items():
        if value is not None:
            sql = sql.replace(f"%({name})s", quote(value).strip().replace("%", "%%"))
    return Prepared(sql)


class Reads:
    """Connections of one event loop, made when first used; `size` at most.

    Unlike a pool that mends itself in the background, it says at once that the database is away.
    """

    def __init__(self, url: str, *, size: int = 8, application: str = "condarium") -> None:
        self._url = url
        self._application = application
        self._idle: list[psycopg.AsyncConnection[Any]] = []
        self._places = asyncio.Semaphore(size)

    async def row(self, sql: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The only row that the statement gives. Raises Unavailable."""
        try:
            async with self._places, asyncio.timeout(SECONDS):
                while self._idle:
                    connection = self._idle.pop()
                    try:
                        return await self._ask(connection, sql, values)
                    except psycopg.OperationalError:
                        # It broke while it lay idle, perhaps with all others; a new one will tell.
                        if not connection.broken:
                            raise
                return await self._ask(await self._connect(), sql, values)
        except (psycopg.OperationalError, TimeoutError) as error:
            raise Unavailable(AWAY) from error

    async def _ask(
        self, connection: psycopg.AsyncConnection[Any], sql: str, values: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        try:
            cursor = await connection.execute(sql.encode(), values, binary=True)
            found = await cursor.fetchone()
        except psycopg.Error:
            if connection.broken:
                await connection.close()
            else:
                self._idle.append(connection)
            raise
        except BaseException:
            # Cancelled in the middle: the answer to it would be taken for that to the next question.
            await connection.close()
            raise
        self._idle.append(connection)
        assert found is not None
        return tuple(found)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            prepare_threshold=2,
            application_name=f"{self._application}-lists",
            connect_timeout=5,
            options=READ_ONLY,
            **VANISHED,
        )

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().close()
