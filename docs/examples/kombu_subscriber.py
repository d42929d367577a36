"""A plain AMQP consumer that hears of everything, in order, also of what happened while it was away.

    pip install kombu
    export CONDARIUM_SUBSCRIBER_AMQP_URL=...        # `make up` writes it to .local/condarium.env
    python docs/examples/kombu_subscriber.py

Any AMQP 0-9-1 client does the same: declare a durable queue whose name begins with `condarium-sub.`, bind it to the
topic exchange `condarium.events` with the routing keys you want (`build.#`, `environment.ready.v1`, ...), consume.
The routing key is the event and its version; docs/events.md lists them.
"""

import os

from kombu import Connection, Consumer, Exchange, Message, Queue
from kombu.mixins import ConsumerMixin

# The exchange is Condarium's: the subscriber's account may read from it, not declare it.
EVENTS = Exchange("condarium.events", type="topic", no_declare=True)


class Subscriber(ConsumerMixin):
    """Connects again by itself when the broker was away; the durable queue keeps what came meanwhile."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def get_consumers(self, consumer: type[Consumer], channel: object) -> list[Consumer]:
        queue = Queue("condarium-sub.printer", exchange=EVENTS, routing_key="#", durable=True)
        return [consumer([queue], callbacks=[self.show], accept=["json"])]

    def show(self, event: dict, message: Message) -> None:
        print(event["time"], event["type"], event["subject"], event["data"], flush=True)
        message.ack()


if __name__ == "__main__":
    with Connection(os.environ["CONDARIUM_SUBSCRIBER_AMQP_URL"], heartbeat=30) as connection:
        Subscriber(connection).run()
