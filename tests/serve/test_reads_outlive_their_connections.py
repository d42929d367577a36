"""What lists are read with: broken connections are replaced, an outage is told at once, nothing can be written."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import psycopg
import pytest

from condarium.database.reads import Reads
from condarium.errors import Unavailable
from tests.fixtures.patience import within
from tests.fixtures.statements import Statements, listening_to

Ask = Callable[[Reads], Awaitable[Any]]


def run(url: str, ask: Ask, size: int = 4) -> Any:
    async def asked() -> Any:
        async with aclosing(Reads(url, size=size)) as reads:
            return await ask(reads)

    return asyncio.run(asked())


def test_connections_that_broke_while_idle_are_replaced(database_url: str) -> None:
    async def ask(reads: Reads) -> list[Any]:
        statement = "select %(n)s::bigint, pg_sleep(0.05)"
        before = await asyncio.gather(*(reads.row(statement, {"n": n}) for n in range(4)))
        forwarder.cut()
        after = await asyncio.gather(*(reads.row(statement, {"n": n}) for n in range(4)))
        return [row[0] for row in [*before, *after]]

    forwarder: Statements
    with listening_to(database_url) as forwarder:
        assert run(forwarder.url, ask) == [0, 1, 2, 3, 0, 1, 2, 3]


def test_an_outage_is_told_at_once_and_ends_by_itself(database_url: str) -> None:
    forwarder = Statements(database_url)

    async def ask(reads: Reads) -> None:
        # a read that waits does so for half a minute
        with within(3), pytest.raises(Unavailable):
            await reads.row("select 1", {})
        forwarder.open()
        assert await reads.row("select 1", {}) == (1,)

    try:
        run(forwarder.url, ask)
    finally:
        forwarder.close()


def test_a_reader_that_was_cancelled_leaves_no_answer_to_the_next(database_url: str) -> None:
    async def ask(reads: Reads) -> list[Any]:
        slow = asyncio.create_task(reads.row("select 'slow', pg_sleep(5)", {}))
        await asyncio.sleep(0.3)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        return [await reads.row("select 'next'", {}) for _ in range(3)]

    assert run(database_url, ask, size=1) == [("next",)] * 3


def test_more_readers_than_connections_take_turns(database_url: str) -> None:
    async def ask(reads: Reads) -> list[Any]:
        return await asyncio.gather(*(reads.row("select %(n)s::bigint", {"n": n}) for n in range(40)))

    assert run(database_url, ask, size=2) == [(n,) for n in range(40)]


def test_nothing_can_be_written_and_a_fault_leaves_the_connection_good(database_url: str) -> None:
    async def ask(reads: Reads) -> Any:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await reads.row("insert into namespaces (name) values ('x') returning id", {})
        with pytest.raises(psycopg.errors.UndefinedTable):
            await reads.row("select * from nothing", {})
        return await reads.row("select count(*) from namespaces", {})

    assert run(database_url, ask, size=1) == (0,)
