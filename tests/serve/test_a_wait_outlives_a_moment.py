"""A pull that waits does not end because the feed of events, or the database, comes a moment later."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.requests import Request

from condarium.database import Database
from condarium.errors import Unavailable
from condarium.http.feed import Feed
from services.registry import waiting
from services.registry.handlers import Found, Pending
from services.registry.waiting import Waiting
from tests.fixtures.patience import patient, within


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


def request() -> Request:
    async def receive() -> dict[str, str]:
        await asyncio.sleep(3600)
        return {}

    return Request({"type": "http", "headers": []}, receive)


def test_the_feed_begins_after_the_wait(database: Database) -> None:
    async def test() -> None:
        feed = Feed(database)
        looks = 0

        async def look() -> Found | Pending:
            nonlocal looks
            looks += 1
            return Found(()) if feed.ready else Pending(1, "it is being made")

        pulled = asyncio.create_task(Waiting(feed, seconds=60, poll_seconds=60).until_found(request(), look))
        await asyncio.sleep(0.2)
        assert looks == 2
        running = asyncio.create_task(feed.run())
        assert await asyncio.wait_for(pulled, patient(5)) == Found(())
        # its first read has ended: a thread's connection does not outlive the test
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(test())


def test_a_stop_ends_a_wait_for_the_feed(database: Database) -> None:
    async def test() -> None:
        feed = Feed(database)

        async def look() -> Found | Pending:
            return Pending(1, "it is being made")

        pulled = asyncio.create_task(Waiting(feed, seconds=60, poll_seconds=60).until_found(request(), look))
        await asyncio.sleep(0.1)
        feed.close()
        with pytest.raises(Unavailable, match="stopping"):
            await asyncio.wait_for(pulled, patient(5))

    asyncio.run(test())


def test_an_outage_of_a_moment_is_waited_for(database: Database) -> None:
    async def test() -> None:
        answers: list[Found | Pending | None] = [None, Pending(1, "it is being made"), None, None, Found(())]

        async def look() -> Found | Pending:
            answer = answers.pop(0)
            if answer is None:
                raise Unavailable("the database cannot be reached")
            return answer

        assert await Waiting(Feed(database), seconds=60, poll_seconds=0.1).until_found(request(), look) == Found(())
        assert not answers

    asyncio.run(test())


def test_a_longer_one_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", 0.5)

    async def test() -> None:
        async def look() -> Found | Pending:
            raise Unavailable("the database cannot be reached")

        with within(5), pytest.raises(Unavailable, match="cannot be reached"):
            await Waiting(Feed(database), seconds=60, poll_seconds=60).until_found(request(), look)

    asyncio.run(test())
