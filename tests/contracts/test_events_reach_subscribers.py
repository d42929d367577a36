"""The examples of the documentation, run as they stand, with an account that can do nothing but read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection

from condarium.database import Database
from condarium.events import BuildFailed
from condarium.messaging.relay import Relay
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.messaging import ROOT, Process, completed, write
from tests.fixtures.patience import wait_for

EXAMPLES = ROOT / "docs/examples"


@pytest.fixture
def subscriber_url(rabbit_server: PrivateRabbit, amqp_url: str) -> str:
    return rabbit_server.subscriber_url_of(amqp_url.rpartition("/")[2])


@pytest.fixture
def relay(database: Database, amqp_url: str) -> Iterator[Relay]:
    relay = Relay(database, amqp_url)
    relay.start()
    yield relay
    relay.stop()


def bound(rabbit: PrivateRabbit, url: str, count: int) -> bool:
    listed = rabbit.control("list_bindings", "-p", url.rpartition("/")[2], "source_name", "destination_name")
    return sum(line.startswith("condarium.events\t") for line in listed.splitlines()) >= count


def test_a_stock_nameko_service_hears_of_builds(
    tmp_path: Path, database: Database, subscriber_url: str, relay: Relay, rabbit_server: PrivateRabbit
) -> None:
    command = ["-m", "nameko", "run", "--config", "nameko_subscriber.yml", "nameko_subscriber"]
    environment = {"CONDARIUM_SUBSCRIBER_AMQP_URL": subscriber_url}
    with Process(tmp_path / "log", *command, directory=EXAMPLES, **environment) as announcer:
        wait_for(lambda: bound(rabbit_server, subscriber_url, 2), seconds=40, every=0.5)
        failed = BuildFailed(
            "team", "broken", "builder", build=2, generation=1, specification="ab" * 32, locks={},
            reason="unsolvable", message="nothing provides x",
        )  # fmt: skip
        write(database, completed(41), failed)
        wait_for(lambda: announcer.said("default/demo: build 41 is complete"), seconds=20)
        wait_for(lambda: announcer.said("team/broken: nothing provides x"), seconds=20)


def test_a_plain_amqp_consumer_hears_of_everything_in_order_and_of_what_it_missed(
    tmp_path: Path, database: Database, subscriber_url: str, relay: Relay, rabbit_server: PrivateRabbit
) -> None:
    def printer() -> Process:
        arguments = [str(EXAMPLES / "kombu_subscriber.py")]
        return Process(tmp_path / "log", *arguments, CONDARIUM_SUBSCRIBER_AMQP_URL=subscriber_url)

    with printer() as first:
        wait_for(lambda: bound(rabbit_server, subscriber_url, 1), seconds=40, every=0.5)
        write(database, completed(1), completed(2))
        wait_for(lambda: first.said("'build': 2"), seconds=20)
    write(database, completed(3))
    with printer() as second:
        wait_for(lambda: second.said("'build': 3"), seconds=20)
        lines = [line for line in second.text().splitlines() if "condarium.build.completed.v1 default/demo" in line]
        assert [f"'build': {number}" in line for number, line in enumerate(lines, 1)] == [True] * 3


def test_a_subscriber_cannot_publish_nor_touch_what_is_ours(subscriber_url: str, amqp_url: str) -> None:
    with Connection(amqp_url) as ours:
        ours.channel().queue_declare("builder.build.queued.v1", durable=True, auto_delete=False)

    def refused(action: str, *arguments: object, **options: object) -> None:
        with Connection(subscriber_url) as connection:
            channel = connection.channel()
            with pytest.raises(AccessRefused):
                getattr(channel, action)(*arguments, **options)

    with Connection(subscriber_url, transport_options={"confirm_publish": True}) as connection:
        producer = connection.Producer()
        with pytest.raises(AccessRefused):
            producer.publish({}, exchange="condarium.events", routing_key="build.completed.v1", retry=False)
    refused("exchange_delete", "condarium.events")
    refused("exchange_declare", "condarium.events", "topic", durable=True, auto_delete=False)
    refused("queue_purge", "builder.build.queued.v1")
    refused("queue_delete", "builder.build.queued.v1")
    refused("basic_get", "builder.build.queued.v1")
    refused("queue_declare", "anything-else")
    refused("exchange_declare", "mine", "fanout")
    with Connection(amqp_url) as ours:
        ours.channel().exchange_declare("condarium.events", "topic", passive=True)
