"""The exchanges and queues, declared by whoever needs them: declaring twice is harmless."""

from kombu import Exchange, Queue

from condarium.events import EXCHANGE

#: redelivered this often, a message is dead: it goes to `DEAD_LETTERS`
DELIVERY_LIMIT = 5
#: the oldest dead letters go when there are more; they are for people to read, nothing consumes them
DEAD_LETTERS_KEPT = 10_000

EVENTS = Exchange(EXCHANGE, type="topic", durable=True, delivery_mode="persistent")
DEAD = Exchange("condarium.dead", type="topic", durable=True, delivery_mode="persistent")
DEAD_LETTERS = Queue(
    "condarium.dead.letters",
    exchange=DEAD,
    routing_key="#",
    durable=True,
    queue_arguments={"x-queue-type": "quorum", "x-max-length": DEAD_LETTERS_KEPT},
)


def queue_name(service: str, routing_key: str) -> str:
    """`builder.build.queued.v1`: all copies of a service share it, so one of them gets each event."""
    return f"{service}.{routing_key}"


def service_queue(service: str, routing_key: str) -> Queue:
    """The durable quorum queue of one event for one service, with a bound on redeliveries."""
    return Queue(
        queue_name(service, routing_key),
        exchange=EVENTS,
        routing_key=routing_key,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD.name,
        },
    )
