"""The relay: every committed event is numbered and reaches the broker, in order, whatever dies meanwhile."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from condarium.database import Database, outbox
from condarium.errors import Unavailable
from condarium.messaging.relay import Relay
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.forwarder import forwarder
from tests.fixtures.messaging import completed, queued, tap, write
from tests.fixtures.patience import wait_for, within


def unpublished(database: Database) -> int:
    with database.transaction() as session:
        return outbox.lag(session)[0]


@pytest.fixture
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not told to a relay by a notification is found a minute later."""
    monkeypatch.setattr("condarium.messaging.relay.POLL_SECONDS", 60.0)


@pytest.fixture
def relay(database: Database, amqp_url: str) -> Iterator[Relay]:
    relay = Relay(database, amqp_url)
    relay.start()
    yield relay
    relay.stop()


@pytest.mark.usefixtures("rare_looks")
def test_an_event_arrives_as_a_cloudevent_within_a_moment(database: Database, amqp_url: str, relay: Relay) -> None:
    wait_for(lambda: relay.active)
    with tap(amqp_url, "build.completed.v1") as read:
        with within(2):
            write(database, completed(7), queued(8))
            wait_for(lambda: not unpublished(database), seconds=5)
        (message,) = read()
    properties = message.pop("_")
    assert message["specversion"] == "1.0"
    assert message["type"] == "condarium.build.completed.v1"
    assert message["subject"] == "default/demo"
    assert message["data"]["build"] == 7
    assert properties["message_id"] == message["id"]
    assert properties["headers"]["cloudEvents:source"] == "api"


def test_nothing_is_published_before_its_transaction_commits(database: Database, amqp_url: str, relay: Relay) -> None:
    wait_for(lambda: relay.active)
    with tap(amqp_url) as read:
        with pytest.raises(RuntimeError), database.transaction() as session:
            outbox.add(session, completed(1), source="api")
            raise RuntimeError("rolled back")
        with database.transaction() as session:
            outbox.add(session, completed(2), source="api")
            time.sleep(1.2)
            assert read() == []
        wait_for(read)
        assert [message["data"]["build"] for message in read()] == [2]


@pytest.mark.usefixtures("rare_looks")
def test_events_are_numbered_while_the_broker_is_away(database: Database) -> None:
    relay = Relay(database, "amqp://nobody:nothing@127.0.0.1:9/none")
    relay.start()
    try:
        write(database, queued(1), queued(2))

        def numbered() -> list[int]:
            with database.transaction() as session:
                return [event.seq for event in outbox.after(session, 0)]

        assert wait_for(lambda: len(numbered()) == 2 and numbered(), seconds=3) == [1, 2]
        assert unpublished(database) == 2
    finally:
        # though its threads see only later that they are stopped
        with within(2.5):
            relay.stop()


def test_one_relay_works_and_another_takes_over(database: Database, amqp_url: str) -> None:
    first, second = Relay(database, amqp_url), Relay(database, amqp_url)
    first.start()
    wait_for(lambda: first.active)
    second.start()
    try:
        with tap(amqp_url) as read:
            write(database, queued(1))
            wait_for(read)
            assert not second.active
            # as if the process had been killed: the server ends the session, and with it the lock
            with database.transaction() as session:
                session.execute(
                    text("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted")
                )
            write(database, *(queued(build) for build in range(2, 30)))
            wait_for(lambda: not unpublished(database))
            assert first.active != second.active
            assert [message["data"]["build"] for message in read()] == list(range(1, 30))
    finally:
        first.stop()
        second.stop()


def test_kill_9_of_the_broker_loses_nothing(database: Database, rabbit_server: PrivateRabbit, amqp_url: str) -> None:
    relay = Relay(database, amqp_url)
    relay.start()
    try:
        with tap(amqp_url) as read:
            for build in range(1, 301):
                write(database, queued(build))
                if build == 100:
                    rabbit_server.kill()
                if build == 200:
                    rabbit_server.start()
            wait_for(lambda: not unpublished(database), seconds=40)
            builds = [message["data"]["build"] for message in read()]
    finally:
        relay.stop()
    assert set(builds) == set(range(1, 301))
    # a batch that was under way when the broker died comes twice; without its echoes the order stands
    assert list(dict.fromkeys(builds)) == list(range(1, 301))


def test_an_internal_event_that_nobody_takes_is_counted_and_does_not_block(
    database: Database, amqp_url: str, relay: Relay
) -> None:
    from condarium import metrics

    counter = metrics.EVENTS_UNROUTABLE.labels("build.queued.v1")
    before = counter._value.get()
    write(database, queued(1), queued(2))
    wait_for(lambda: not unpublished(database))
    wait_for(lambda: counter._value.get() == before + 2)


def test_a_relay_whose_session_ended_unseen_stops_being_active(database: Database, amqp_url: str) -> None:
    """Its own address of the database works on, so nothing else would tell it."""
    parts = urlsplit(database.url)
    with forwarder(parts.port or 5432) as way:
        way.open()
        relay = Relay(database, amqp_url)
        cut_off = Database(database.url.replace(f":{parts.port}/", f":{way.port}/"))
        relay._database.listen = cut_off.listen  # type: ignore[method-assign]
        # recorded: it is active again a tenth of a second later, which who looks now and then may miss
        changes: list[bool] = []
        set_active = relay._set_active
        relay._set_active = lambda active: (changes.append(active), set_active(active))[1]  # type: ignore[method-assign]
        relay.start()
        try:
            wait_for(lambda: changes == [True])
            way.cut()
            wait_for(lambda: changes[:3] == [True, False, True], what=lambda: f"it to be active again: {changes}")
            assert relay.active
        finally:
            relay.stop()
            cut_off.close()


def test_each_outage_is_said_and_starts_with_short_waits(
    database: Database, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("condarium.messaging.relay.BACKOFF_CAP_SECONDS", 0.2)
    relay = Relay(database, amqp_url)
    waits: list[float] = []
    monkeypatch.setattr(relay._stopped, "wait", lambda seconds: waits.append(seconds) or relay._stopped.is_set())

    def work() -> None:
        if len(waits) == 6:
            relay._stopped.set()
            return
        if len(waits) == 3:
            time.sleep(0.3)
        raise Unavailable("away")

    relay._forever("work", work)
    assert waits == [0.1, 0.2, 0.2, 0.1, 0.2, 0.2]
