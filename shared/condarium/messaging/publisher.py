"""Publishing with confirms, many in flight: one disk sync of the broker serves a whole batch."""

import json
import time
from collections.abc import Sequence

from kombu import Connection

from condarium import log, metrics
from condarium.database.outbox import Stored
from condarium.errors import Unavailable
from condarium.messaging import broker, topology

logger = log.get(__name__)


class Publisher:
    """One connection, made when first used, dropped at the first fault. Used by one thread at a time."""

    def __init__(self, amqp_url: str) -> None:
        self._url = amqp_url
        self._connection: Connection | None = None
        self._open: dict[int, Stored] = {}
        self._confirmed: list[int] = []
        self._outage = False

    def publish(self, events: Sequence[Stored]) -> list[int]:
        """Sends the events in order and waits for the broker; returns the row ids that it has made safe.

        Raises Unavailable when not all were confirmed and none of them was; what was confirmed is always returned.
        """
        self._open, self._confirmed = {}, []
        try:
            channel = self._channel()
            for event in events:
                self._send(channel, event)
            self._wait()
        except broker.BROKER_ERRORS as error:
            self.close()
            self._outage = True
            if not self._confirmed:
                raise Unavailable(f"the broker does not take events: {type(error).__name__} {error}") from error
        if events and not self._confirmed:  # RabbitMQ 4 says no while a queue of it starts again
            raise Unavailable("the broker does not take events: it refused all of them")
        return self._confirmed

    def tick(self) -> None:
        """Keeps an idle connection alive; drops one that died."""
        if self._connection is not None:
            try:
                self._connection.heartbeat_check()
                self._connection.drain_events(timeout=0.001)
            except TimeoutError:
                pass
            except broker.BROKER_ERRORS:
                self._outage = True
                self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            broker.drop(connection)

    def _channel(self) -> object:
        if self._connection is None:
            connection = self._connection = broker.connect(self._url)
            if self._outage:
                time.sleep(broker.SETTLE_SECONDS)
            self._outage = False
            channel = connection.default_channel
            topology.EVENTS.declare(channel=channel)
            channel.confirm_select()
            channel.events["basic_ack"].add(self._on_ack)
            channel.events["basic_nack"].add(self._on_nack)
            channel.events["basic_return"].add(self._on_return)
            self._sent = 0
        return self._connection.default_channel

    def _send(self, channel: object, event: Stored) -> None:
        body = event.body
        message = channel.prepare_message(  # type: ignore[attr-defined]
            json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            content_type="application/json",
            content_encoding="utf-8",
            headers={f"cloudEvents:{key}": body[key] for key in ("specversion", "id", "source", "type", "subject")},
            properties={
                "delivery_mode": 2,
                "message_id": str(event.event_id),
                "timestamp": int(time.time()),
                "type": body["type"],
                "app_id": "condarium",
            },
        )
        self._sent += 1
        self._open[self._sent] = event
        channel.basic_publish(  # type: ignore[attr-defined]
            message, exchange=topology.EVENTS.name, routing_key=event.routing_key, mandatory=event.internal
        )

    def _wait(self) -> None:
        assert self._connection is not None
        until = time.monotonic() + broker.ANSWER_SECONDS
        while self._open:
            if time.monotonic() > until:
                raise TimeoutError(f"no confirm within {broker.ANSWER_SECONDS:.0f} s")
            try:
                self._connection.drain_events(timeout=1)
            except TimeoutError:
                self._connection.heartbeat_check()

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        tags = [tag for tag in self._open if tag <= delivery_tag] if multiple else [delivery_tag]
        for tag in tags:
            event = self._open.pop(tag, None)
            if event is not None:
                self._confirmed.append(event.id)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        for tag in [tag for tag in self._open if tag <= delivery_tag] if multiple else [delivery_tag]:
            self._open.pop(tag, None)  # stays unpublished in the outbox: sent again with the next batch

    def _on_return(self, exception: Exception, exchange: str, routing_key: str, message: object) -> None:
        # Nobody has ever consumed this event here. It is confirmed all the same: the row that it would wake somebody
        # for is found by that service's poll when it starts, so sending it again later would change nothing.
        metrics.EVENTS_UNROUTABLE.labels(routing_key).inc()
        logger.warning("no service takes this event yet", event_type=routing_key)
