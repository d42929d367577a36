"""An event as handlers get it, and what makes a message unreadable."""

import json
import uuid
from typing import Any, NamedTuple

from condarium import events
from condarium.errors import InvalidInput


class Received(NamedTuple):
    """`event_id, event, envelope = received`; the envelope is the whole CloudEvents object."""

    event_id: uuid.UUID
    event: events.Event
    envelope: dict[str, Any]


def decode(routing_key: str, body: bytes | str) -> Received:
    """Raises InvalidInput that says why the message can never be handled."""
    try:
        envelope = json.loads(body)
        received = Received(uuid.UUID(envelope["id"]), events.parse(routing_key, envelope["data"]), envelope)
        if envelope["type"] != f"condarium.{routing_key}":
            raise InvalidInput(f"the message under {routing_key} says that it is {envelope['type']!r}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(f"the message under {routing_key} is no such event: {error!r}") from error
    return received
