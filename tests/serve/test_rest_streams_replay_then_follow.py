"""Events and logs by SSE: what was missed, then what happens, to those who may; nothing twice, nothing lost."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from condarium.database import logs
from condarium.domain.artifact import ArtifactType
from condarium.http import feed as feeds
from services.api import streams
from tests.fixtures.gateway import TOKEN, RunningGateway
from tests.fixtures.patience import CLIENT_SECONDS, patient
from tests.fixtures.served import make_lock


class Stream:
    """Reads server-sent events; `next` gives (event, id, data)."""

    def __init__(self, reply: httpx.Response) -> None:
        self.reply = reply
        self.lines = reply.iter_lines()

    def next(self) -> tuple[str, str | None, Any]:
        fields: dict[str, str] = {}
        for line in self.lines:
            if line == "" and "data" in fields:
                return fields["event"], fields.get("id"), json.loads(fields["data"])
            name, colon, value = line.partition(": ")
            if colon and name:
                fields[name] = value
        raise EOFError

    def until(self, event: str) -> list[tuple[str, str | None, Any]]:
        found = []
        while True:
            found.append(self.next())
            if found[-1][0] == event:
                return found

    def comment(self) -> str:
        return next(line for line in self.lines if line.startswith(":"))


@contextmanager
def stream(gateway: RunningGateway, path: str, **headers: str) -> Iterator[Stream]:
    with (
        httpx.Client(base_url=gateway.address, timeout=CLIENT_SECONDS) as client,
        client.stream("GET", path, headers=headers) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield Stream(reply)


ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def test_what_was_missed_then_what_happens(gateway: RunningGateway) -> None:
    first = gateway.post("one")
    gateway.publish()
    with stream(gateway, "/api/v1/events/?after=0") as events:
        event, identity, body = events.next()
        assert (event, identity) == ("build.queued.v1", "1")
        assert body["type"] == "condarium.build.queued.v1"
        assert body["subject"] == "default/one"
        assert body["data"]["build"] == first
        assert events.next() == ("live", "1", {"after": 1})
        second = gateway.post("two")
        gateway.publish()
        event, identity, body = events.next()
        assert (event, identity, body["data"]["build"]) == ("build.queued.v1", "2", second)


def test_by_default_only_what_happens_from_now_on(gateway: RunningGateway) -> None:
    gateway.post("one")
    gateway.publish()
    with stream(gateway, "/api/v1/events/") as events:
        assert events.next()[:2] == ("live", "1")
        gateway.post("two")
        gateway.publish()
        assert events.next()[1] == "2"


def test_a_client_that_comes_back_misses_nothing(gateway: RunningGateway) -> None:
    for name in ("one", "two", "three"):
        gateway.post(name)
    gateway.publish()
    with stream(gateway, "/api/v1/events/?after=0", **{"Last-Event-ID": "2"}) as events:
        assert [event[1] for event in events.until("live")] == ["3", "3"]
    with stream(gateway, "/api/v1/events/?after=1") as events:
        assert [event[1] for event in events.until("live")] == ["2", "3", "3"]
    for malformed in ("x", "-1", "9" * 30, "٣"):
        headers = [(b"last-event-id", malformed.encode())]
        with (
            httpx.Client(base_url=gateway.address) as client,
            client.stream("GET", "/api/v1/events/?after=2", headers=headers) as reply,
        ):
            assert Stream(reply).next()[1] == "3"


def test_a_replay_of_many_pages_meets_the_live_stream(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BATCH", 3)
    build_id = gateway.post()
    stop = threading.Event()

    def busy() -> None:
        for _ in range(60):
            gateway.admin.put("/api/v1/environment/default/first/", json={"description": str(time.monotonic())})
            gateway.publish()
        stop.set()

    worker = threading.Thread(target=busy)
    worker.start()
    seen: list[int] = []
    with stream(gateway, "/api/v1/events/?after=0") as events:
        while len(seen) < 61:
            event, identity, _ = events.next()
            if event != "live":
                seen.append(int(identity or 0))
    worker.join()
    assert seen == list(range(1, 62))
    assert build_id


def test_filters(gateway: RunningGateway) -> None:
    one = gateway.post("one")
    gateway.post("two", namespace="team")
    gateway.admin.put(f"/api/v1/build/{one}/cancel/")
    gateway.publish()

    def seen(query: str) -> list[str | None]:
        with stream(gateway, f"/api/v1/events/?after=0&{query}", **ADMIN) as events:
            return [event[1] for event in events.until("live")][:-1]

    assert seen("") == ["1", "2", "3"]
    assert seen("namespace=team") == ["2"]
    assert seen("namespace=default&environment=one") == ["1", "3"]
    assert seen(f"build={one}") == ["1", "3"]
    assert seen("type=build.canceled") == seen("type=build.canceled.v1") == seen("type=*.canceled*") == ["3"]
    assert seen("type=build.*") == ["1", "2", "3"]
    assert seen("type=environment.*,build.canceled") == seen("type=artifact.*&type=build.canceled") == ["3"]
    refused = gateway.admin.get("/api/v1/events/?type=build.exploded")
    assert refused.status_code == 400
    assert "build.queued.v1" in refused.json()["message"]
    with stream(gateway, f"/api/v1/build/{one}/events/") as events:
        assert [event[0] for event in events.until("live")] == ["build.queued.v1", "build.canceled.v1", "live"]
    assert gateway.http.get("/api/v1/build/99/events/").status_code == 404


def test_each_event_is_authorised_by_itself(gateway: RunningGateway) -> None:
    gateway.post("hidden", namespace="team")
    gateway.post("open")
    gateway.publish()
    with stream(gateway, "/api/v1/events/?after=0") as events:
        assert [event[1] for event in events.until("live")] == ["2", "2"]
        gateway.post("hidden", namespace="team")
        gateway.post("open")
        gateway.publish()
        assert events.next()[1] == "4"


def test_a_silent_stream_is_kept_alive(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.1)
    build_id = gateway.post()
    with stream(gateway, "/api/v1/events/") as events:
        assert events.comment() == ": keep-alive"
    with stream(gateway, f"/api/v1/build/{build_id}/logs/stream/") as events:
        assert events.comment() == ": keep-alive"


def test_a_client_that_is_too_slow_is_cut(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = feeds.Subscription(lambda event: True, 0, 2)

    class Event:
        def __init__(self, seq: int) -> None:
            self.seq = seq

    for seq in (1, 2, 3, 4):
        subscription.offer(Event(seq))  # type: ignore[arg-type]

    async def read() -> list[int]:
        found = []
        with pytest.raises(feeds.StreamEnded):
            while True:
                event = await subscription.next(1)
                assert event is not None
                found.append(event.seq)
        return found

    import asyncio

    assert asyncio.run(read()) == [1, 2]


def test_a_stream_outlives_the_loss_of_its_connection_to_postgres(gateway: RunningGateway) -> None:
    from sqlalchemy import text

    with stream(gateway, "/api/v1/events/") as events:
        assert events.next()[0] == "live"
        with gateway.database.transaction() as session:
            ended = session.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and application_name = 'condarium-listen'"
                )
            ).all()
        assert len(ended) == 1
        gateway.post()
        gateway.publish()
        assert events.next()[1] == "1"


def test_many_streams_share_one_connection(gateway: RunningGateway) -> None:
    from contextlib import ExitStack

    from sqlalchemy import text

    with ExitStack() as stack:
        open_streams = [stack.enter_context(stream(gateway, "/api/v1/events/")) for _ in range(30)]
        for events in open_streams:
            assert events.next()[0] == "live"
        with gateway.database.transaction() as session:
            count = session.execute(
                text(
                    "select count(*) from pg_stat_activity "
                    "where datname = current_database() and application_name = 'condarium-listen'"
                )
            ).scalar_one()
        assert count == 1
        gateway.post()
        gateway.publish()
        assert [events.next()[1] for events in open_streams] == ["1"] * 30


def append(gateway: RunningGateway, build_id: int, number: int, text: str) -> None:
    with gateway.database.transaction() as session:
        logs.append(session, build_id=build_id, attempt=1, number=number, text=text)


def test_a_log_is_followed_to_its_end(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    append(gateway, build_id, 0, "solving\n")
    with stream(gateway, f"/api/v1/build/{build_id}/logs/stream/") as log:
        event, first, data = log.next()
        assert (event, data) == ("log", {"attempt": 1, "text": "solving\n"})
        assert log.next()[2]["status"] == "QUEUED"
        gateway.solve(build_id, make_lock("zlib"))
        gateway.publish()
        append(gateway, build_id, 1, "linking\n")
        found = [log.next(), log.next()]
        assert sorted(event[0] for event in found) == ["log", "status"]
        append(gateway, build_id, 2, "done\n")
        assert log.next()[2]["text"] == "done\n"
        gateway.complete(build_id)
        append(gateway, build_id, 3, "over\n")
        rest = log.until("end")
        assert [event[2].get("status") for event in rest if event[0] != "log"] == ["COMPLETED", "COMPLETED"]
        with pytest.raises(EOFError):
            log.next()
    with stream(gateway, f"/api/v1/build/{build_id}/logs/stream/", **{"Last-Event-ID": str(first)}) as log:
        texts = [event[2]["text"] for event in log.until("end") if event[0] == "log"]
    assert texts == ["linking\n", "done\n", "over\n"]


def test_the_joined_log_stands_for_chunks_that_are_gone(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    text = "é" * 700_000
    gateway.make(build_id, ArtifactType.LOGS, text.encode())
    with stream(gateway, f"/api/v1/build/{build_id}/logs/stream/") as log:
        found = log.until("end")
    assert "".join(event[2]["text"] for event in found if event[0] == "log") == text


def test_who_asks_for_what_was_deleted_is_told(gateway: RunningGateway) -> None:
    for name in ("one", "two", "three"):
        gateway.post(name)
    gateway.publish()
    with gateway.database.transaction() as session:
        session.execute(text("delete from outbox where seq <= 2"))
    with stream(gateway, "/api/v1/events/?after=1") as events:
        assert events.next() == ("gone", None, {"after": 1, "first": 3})
        assert events.next()[:2] == ("build.queued.v1", "3")
        assert events.next()[0] == "live"


def test_a_stream_asked_for_before_the_feed_has_begun_waits_for_it(database_url: str) -> None:
    import asyncio

    from condarium.database import Database
    from condarium.http.feed import Feed

    async def follow() -> bool:
        database = Database(database_url)
        feed = Feed(database)
        waiting = asyncio.create_task(feed.begun())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        running = asyncio.create_task(feed.run())
        await asyncio.wait_for(waiting, patient(4))
        await asyncio.sleep(0.5)  # its first read has ended
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        database.close()
        return feed.ready

    assert asyncio.run(follow())
