"""The consumer in a real nameko process: drains at SIGTERM, outlives the broker, buries what is poison."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Queue

from condarium.database.outbox import Stored
from condarium.errors import Unavailable
from condarium.events import Event, envelope
from condarium.messaging import broker
from condarium.messaging.publisher import Publisher
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.messaging import ROOT, Process, completed, queued
from tests.fixtures.patience import patient, wait_for

PROGRAM = str(ROOT / "tests/operate/consumer_process.py")


def publish(url: str, *events: Event) -> None:
    import datetime
    import uuid

    publisher = Publisher(url)
    stored = []
    for number, event in enumerate(events, 1):
        event_id = uuid.uuid4()
        body = envelope(
            event_id=event_id,
            routing_key=event.routing_key(),
            source="api",
            subject=f"{event.namespace}/{event.environment}",
            time=datetime.datetime.now(datetime.UTC),
            data=event.data(),
        )
        stored.append(
            Stored(number, number, event.routing_key(), event.namespace, event.environment, 1, False, event_id, body)
        )
    try:
        assert len(publisher.publish(stored)) == len(events)
    finally:
        publisher.close()


class Consumer(Process):
    def __init__(self, directory: Path, amqp_url: str, answer_seconds: float = 8) -> None:
        self.record = directory / "record"
        self.act = directory / "record.act"
        super().__init__(directory / "log", PROGRAM, amqp_url, str(self.record), str(answer_seconds))

    def lines(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []

    def handled(self, line: str, seconds: float = 15.0) -> None:
        wait_for(lambda: line in self.lines() or self.said("\0"), seconds=seconds)


@pytest.fixture
def consumer(tmp_path: Path, amqp_url: str) -> Iterator[Consumer]:
    with Consumer(tmp_path, amqp_url) as consumer:
        wait_for(lambda: consumer.said('"running"'), seconds=30)
        yield consumer


def dead_letters(url: str) -> list[Any]:
    found = []
    with Connection(url) as connection:
        queue = Queue("condarium.dead.letters", no_declare=True)(connection.default_channel)
        while message := queue.get(no_ack=True):
            found.append(message)
    return found


def test_a_handler_gets_the_event_and_its_envelope(consumer: Consumer, amqp_url: str) -> None:
    publish(amqp_url, completed(5), queued(6))
    consumer.handled("completed 5 default/demo")
    consumer.handled("done 6")
    assert consumer.terminate() == 0
    assert consumer.lines()[-1] == "stopped"
    assert "Deprecat" not in consumer.text()
    assert all(json.loads(line) for line in consumer.text().splitlines())


def test_sigterm_waits_for_running_handlers_and_nothing_is_handled_twice(
    consumer: Consumer, amqp_url: str, tmp_path: Path
) -> None:
    consumer.act.write_text("sleep 1.5")
    publish(amqp_url, queued(1), queued(2))
    consumer.handled("start 2")
    assert consumer.terminate() == 0
    assert consumer.lines()[-3:] == ["done 1", "done 2", "stopped"]
    consumer.act.unlink()
    with Consumer(tmp_path, amqp_url) as second:
        publish(amqp_url, queued(3))
        second.handled("done 3")
        assert second.lines().count("start 1") == 1
        assert second.terminate() == 0


def test_kill_9_of_the_broker_is_survived(consumer: Consumer, amqp_url: str, rabbit_server: PrivateRabbit) -> None:
    consumer.act.write_text("sleep 5")
    publish(amqp_url, queued(1))
    consumer.handled("start 1")
    time.sleep(4)  # see the next test
    rabbit_server.kill()
    consumer.handled("done 1")  # acknowledged on a dead connection
    consumer.act.unlink()
    rabbit_server.start()
    publish(amqp_url, queued(2))
    consumer.handled("done 2", 20)
    assert consumer.process.poll() is None
    assert consumer.terminate() == 0


def test_a_queue_that_the_broker_forgot_is_made_anew(
    tmp_path: Path, amqp_url: str, rabbit_server: PrivateRabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Killed within seconds after a quorum queue was declared, RabbitMQ 3.10 restarts with a queue that never answers.
    monkeypatch.setattr(broker, "ANSWER_SECONDS", 1.5)
    with Consumer(tmp_path, amqp_url, answer_seconds=1.5) as consumer:
        wait_for(lambda: consumer.said('"running"'), seconds=30)
        rabbit_server.kill()
        rabbit_server.start()

        def reached() -> bool:
            try:
                publish(amqp_url, queued(1))
            except Unavailable:
                return False
            return "done 1" in consumer.lines()

        wait_for(reached, seconds=60, every=0.5)


def test_what_cannot_be_read_is_dead_lettered_at_once(consumer: Consumer, amqp_url: str) -> None:
    with Connection(amqp_url) as connection:
        producer = connection.Producer()
        for body in (b"{not json", b"\xff\xfe", json.dumps({"id": 3}).encode(), b"[]"):
            producer.publish(
                body,
                exchange="condarium.events",
                routing_key="build.queued.v1",
                content_type="application/json",
                content_encoding="utf-8",
            )
    publish(amqp_url, queued(9))
    consumer.handled("done 9")
    found: list[Any] = []
    wait_for(lambda: found.extend(dead_letters(amqp_url)) or len(found) == 4)
    assert consumer.text().count("an event is dead") == 4


def test_poison_is_dead_lettered_after_its_deliveries(consumer: Consumer, amqp_url: str) -> None:
    consumer.act.write_text("fail")
    publish(amqp_url, queued(1))
    found: list[Any] = []
    wait_for(
        lambda: found.extend(dead_letters(amqp_url)) or found if consumer.said("an event is dead") else 0, seconds=60
    )
    assert consumer.lines().count("start 1") == 6
    assert found[0].headers["x-death"][0]["queue"] == "tester.build.queued.v1"
    consumer.act.unlink()
    publish(amqp_url, queued(2))
    consumer.handled("done 2")


def test_an_outage_is_waited_out_without_spending_deliveries(consumer: Consumer, amqp_url: str) -> None:
    consumer.act.write_text("unavailable")
    publish(amqp_url, queued(1))
    wait_for(lambda: consumer.lines().count("start 1") == 3)
    consumer.act.unlink()
    consumer.handled("done 1")
    assert "goes back to its queue" not in consumer.text()
    assert dead_letters(amqp_url) == []


def test_health_is_served_and_tells_what_is_away(consumer: Consumer) -> None:
    port = next(line for line in consumer.lines() if line.startswith("health")).split()[1]

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=patient(5)) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    assert get("/healthz") == (200, '{"status": "alive"}\n')
    assert get("/readyz") == (200, '{"status": "ready", "away": {}}\n')
    assert "condarium_events_handled_total" in get("/metrics")[1]
    assert get("/else")[0] == 404


def test_one_connection_serves_all_handlers(consumer: Consumer, rabbit_server: PrivateRabbit, amqp_url: str) -> None:
    host = amqp_url.rsplit("/", 1)[1]
    listed = [line for line in rabbit_server.control("list_connections", "vhost").splitlines() if line == host]
    assert len(listed) == 1


def test_a_process_waits_for_a_broker_that_is_away_and_stops_when_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Consumer(tmp_path, f"amqp://u:secret-word@127.0.0.1:{port}/v") as consumer:
        wait_for(lambda: consumer.said("waiting for the broker"), seconds=20)
        assert "secret-word" not in consumer.text()
        assert consumer.terminate(10) == 0
