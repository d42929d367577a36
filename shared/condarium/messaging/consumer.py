"""How our services take events: nameko's entrypoints on a consumer that survives what nameko's own does not.

One AMQP connection per process serves all its handlers. An acknowledgement on a dead connection is logged (the
broker delivers again); a stop request cancels the subscriptions but keeps the connection until every running
handler is acknowledged; a message that fails too often, or can't be read, is dead-lettered and logged.
"""

import contextlib
import functools
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import eventlet
from kombu import Connection, Consumer, Message
from nameko.extensions import Entrypoint, SharedExtension, register_entrypoint

from condarium import log, metrics
from condarium.messaging import broker, topology
from condarium.messaging.delivery import Delivery
from condarium.messaging.received import Received

PREFETCH = 10
READY_SECONDS = 30.0
DRAIN_SECONDS = 20.0
SILENCES = 2
RECONNECT_CAP_SECONDS = 5.0

logger = log.get(__name__)


class EventConsumer(SharedExtension):  # type: ignore[misc]
    """The connection of a process and the loop that reads it; handlers register in their set-up."""

    def __init__(self) -> None:
        self._handlers: list[EventHandler] = []
        self._ready = threading.Event()
        self._draining = threading.Event()
        self._ended = threading.Event()
        self._started = False
        #: one frame at a time is written: handlers acknowledge while the loop sends heartbeats
        self._writing = threading.RLock()
        self._in_flight = 0
        #: per queue, how often in a row it has not answered
        self._silences: Counter[str] = Counter()

    def register(self, handler: "EventHandler") -> None:
        self._handlers.append(handler)

    @property
    def connected(self) -> bool:
        return self._ready.is_set()

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    def start(self) -> None:
        self._started = True
        self.container.spawn_managed_thread(self._run, identifier="events")
        self._ready.wait(READY_SECONDS)

    def drain(self) -> None:
        """Takes no more; returns when every running handler is acknowledged, or after DRAIN_SECONDS."""
        self._draining.set()
        if self._started and not self._ended.wait(DRAIN_SECONDS):
            logger.warning("handlers still run; their events will be delivered again", handlers=self._in_flight)

    stop = drain

    def kill(self) -> None:
        self._draining.set()

    def wait_draining(self, seconds: float) -> bool:
        """Sleeps, unless the process is asked to stop: then True at once."""
        return self._draining.wait(seconds)

    def settle(self, message: Message, answer: Callable[[], None]) -> None:
        """Acknowledges, requeues or rejects; on a dead connection the broker delivers again by itself."""
        try:
            with self._writing:
                answer()
        except broker.BROKER_ERRORS as error:
            logger.warning("cannot acknowledge; the broker delivers again", reason=repr(error))
        finally:
            self._in_flight -= 1

    # -- the loop ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = 0.0
        try:
            while not self.draining:
                try:
                    with broker.connected(self.amqp_url) as connection:
                        if wait:
                            self._draining.wait(broker.SETTLE_SECONDS)
                        self._consume(connection)
                except broker.BROKER_ERRORS as error:
                    wait = 0.0 if self.connected else wait
                    logger.warning("no connection to the broker", reason=repr(error), again_seconds=wait)
                except Exception:
                    logger.exception("the event loop failed; it starts again")
                self._ready.clear()
                if not self._draining.wait(wait):
                    wait = min(RECONNECT_CAP_SECONDS, wait * 2 or 0.2)
        finally:
            self._ended.set()

    @property
    def amqp_url(self) -> str:
        from nameko import config

        return str(config["AMQP_URI"])

    def _consume(self, connection: Connection) -> None:
        with _answer_within(broker.ANSWER_SECONDS):
            connection.default_channel.basic_qos(0, PREFETCH, False)
            topology.DEAD_LETTERS(connection.default_channel).declare()
        consumers = [self._subscribe(connection.default_channel, handler) for handler in self._handlers]
        self._ready.set()
        while not self.draining:
            self._read(connection)
        with _answer_within(broker.ANSWER_SECONDS), self._writing:
            for consumer in consumers:
                consumer.cancel()
        until = time.monotonic() + DRAIN_SECONDS
        while self._in_flight > 0 and time.monotonic() < until:
            self._read(connection, seconds=0.05)

    def _subscribe(self, channel: Any, handler: "EventHandler") -> Consumer:
        queue = topology.service_queue(self.container.service_name, handler.routing_key)
        if self._silences[queue.name] >= SILENCES:
            self._replace(channel, queue.name)
        consumer = Consumer(channel, on_message=functools.partial(self._receive, handler))
        try:
            with _answer_within(broker.ANSWER_SECONDS):
                consumer.add_queue(queue)
                consumer.consume()
        except TimeoutError:
            self._silences[queue.name] += 1
            raise
        self._silences[queue.name] = 0
        return consumer

    def _replace(self, channel: Any, name: str) -> None:
        # A broker that is killed within seconds after a quorum queue was first declared forgets what the queue was;
        # after its restart that queue never elects a leader and answers nobody, publishers' confirms included.
        logger.error("a queue answers nobody and is made anew; work is found by polling meanwhile", queue=name)
        with _answer_within(2 * broker.ANSWER_SECONDS):
            channel.queue_delete(name)
        self._silences[name] = 0

    def _read(self, connection: Connection, seconds: float = 0.5) -> None:
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=seconds)
        with self._writing:
            connection.heartbeat_check()

    def _receive(self, handler: "EventHandler", message: Message) -> None:
        self._in_flight += 1
        if self.draining:
            self.settle(message, message.requeue)
            return
        delivery = Delivery(self, handler, message)
        # not in this greenthread: it must go on reading while all workers are busy
        self.container.spawn_managed_thread(delivery.start, identifier=f"event {handler.routing_key}")


def _answer_within(seconds: float) -> eventlet.Timeout:
    """Raises TimeoutError in the block when the broker stays silent."""
    return eventlet.Timeout(seconds, TimeoutError(f"the broker does not answer within {seconds:.0f} s"))


class EventHandler(Entrypoint):  # type: ignore[misc]
    """See `event_handler`."""

    consumer = EventConsumer()

    def __init__(self, routing_key: str, **options: Any) -> None:
        self.routing_key = routing_key
        super().__init__(**options)

    def setup(self) -> None:
        self.consumer.register(self)

    def stop(self) -> None:
        self.consumer.drain()


def event_handler(routing_key: str) -> Callable[[Callable[[Any, Received], None]], Callable[[Any, Received], None]]:
    """Makes a method of a nameko service the handler of an event, once per service whatever its number of copies.

        @event_handler("build.queued.v1")
        def wake(self, received: Received) -> None: ...

    Returning acknowledges. `Unavailable` and `WorldFault` are tried again here with growing waits; any other
    exception goes back to the queue, and after DELIVERY_LIMIT deliveries to `condarium.dead.letters`. An event may
    come twice: use `condarium.database.inbox.first_time` in the transaction that does the work.
    """

    def register(method: Callable[[Any, Received], None]) -> Callable[[Any, Received], None]:
        @functools.wraps(method)
        def handle(service: Any, received: Received) -> None:
            build = getattr(received.event, "build", None)
            context = log.bound(event_id=str(received.event_id), event_type=routing_key, build=build)
            with context, metrics.HANDLE_SECONDS.labels(routing_key).time():
                method(service, received)

        register_entrypoint(handle, EventHandler(routing_key))
        return handle

    return register
