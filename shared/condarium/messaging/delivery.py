"""The way of one message from its arrival to its acknowledgement."""

import time
from typing import TYPE_CHECKING, Any

from kombu import Message

from condarium import log, metrics
from condarium.errors import InvalidInput, Unavailable, WorldFault
from condarium.messaging import topology
from condarium.messaging.received import Received, decode

if TYPE_CHECKING:
    from condarium.messaging.consumer import EventConsumer, EventHandler

BACKOFF_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 10.0
#: below RabbitMQ's consumer timeout of 30 minutes, after which it would deliver to somebody else as well
HOLD_SECONDS = 600.0

logger = log.get(__name__)


class Delivery:
    """Runs the handler in one of the container's workers and answers the broker."""

    def __init__(self, consumer: "EventConsumer", handler: "EventHandler", message: Message) -> None:
        self._consumer = consumer
        self._handler = handler
        self._message = message
        self._tries = 0
        self._since = time.monotonic()
        #: deliveries before this one; quorum queues count them
        self._before = int((message.headers or {}).get("x-delivery-count", 0))

    def start(self) -> None:
        try:
            self._received: Received = decode(self._handler.routing_key, self._message.body)
        except InvalidInput as error:
            self._bury(str(error))
        else:
            self._spawn()

    def _spawn(self) -> None:
        self._tries += 1
        self._handler.container.spawn_worker(
            self._handler, (self._received,), {}, context_data={}, handle_result=self._done
        )

    def _done(self, worker: Any, result: Any = None, exc_info: Any = None) -> tuple[Any, Any]:
        error = exc_info[1] if exc_info else None
        if error is None:
            self._count("handled")
            self._consumer.settle(self._message, self._message.ack)
        else:
            # the wait must not hold the worker
            self._handler.container.spawn_managed_thread(lambda: self._failed(error), identifier="event retry")
        return result, None

    def _failed(self, error: Exception) -> None:
        outage = isinstance(error, Unavailable | WorldFault)
        key, event = self._handler.routing_key, str(self._received.event_id)
        wait = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2 ** min(self._before + self._tries - 1, 10))
        if outage and time.monotonic() - self._since < HOLD_SECONDS:
            logger.warning("cannot handle an event now", event_id=event, event_type=key, reason=str(error))
            if not self._consumer.wait_draining(wait):
                self._spawn()
                return
        elif self._before >= topology.DELIVERY_LIMIT:
            self._bury(f"failed in {self._before + 1} deliveries: {error!r}", error)
            return
        else:
            logger.error("an event failed and goes back to its queue", event_id=event, event_type=key, exc_info=error)
            self._consumer.wait_draining(wait)
        self._count("requeued")
        self._consumer.settle(self._message, self._message.requeue)

    def _bury(self, reason: str, error: Exception | None = None) -> None:
        logger.error(
            "an event is dead; it lies in condarium.dead.letters",
            event_type=self._handler.routing_key,
            event_id=str(self._message.properties.get("message_id")),
            reason=reason,
            exc_info=error,
        )
        self._count("dead")
        self._consumer.settle(self._message, self._message.reject)

    def _count(self, outcome: str) -> None:
        metrics.EVENTS_HANDLED.labels(self._handler.routing_key, outcome).inc()
