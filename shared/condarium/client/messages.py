"""Server-sent events (HTML standard, section 9.2), without the connection they come over."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """`event` is its kind, `id` its position in the stream (None for marks without one)."""

    event: str
    data: dict[str, Any]
    id: str | None


@dataclass
class Parser:
    """Takes the lines of one connection, one by one."""

    _event: str = "message"
    _id: str | None = None
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> Message | None:
        """The message that this line ends. Raises ValueError for data that is not a JSON object."""
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None

    def _end(self) -> Message | None:
        event, identity, data = self._event, self._id, self._data
        self._event, self._id, self._data = "message", None, []
        if not data:
            return None
        content = json.loads("\n".join(data))
        if not isinstance(content, dict):
            raise ValueError(f"the data of {event!r} is no JSON object")
        return Message(event, content, identity)
