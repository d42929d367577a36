"""Server-sent events, with reconnects that miss nothing."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from condarium.client import faults

#: the server speaks at least every 15 s
SILENCE_SECONDS = 45.0
RECONNECTS = 20


@dataclass(frozen=True)
class Message:
    """`event` is its kind, `id` its position in the stream (None for marks without one)."""

    event: str
    data: dict[str, Any]
    id: str | None


def messages(
    http: httpx.Client, path: str, *, query: Mapping[str, str] | None = None, after: int | None = None
) -> Iterator[Message]:
    """Yields until the server says `event: end`; a broken connection is made again from the last position."""
    position = None if after is None else str(after)
    failures = 0
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": position} if position is not None else {})
        timeout = httpx.Timeout(10.0, read=SILENCE_SECONDS)
        try:
            with http.stream("GET", path, params=dict(query or {}), headers=headers, timeout=timeout) as reply:
                if reply.status_code >= 400:
                    reply.read()
                    raise faults.fault(reply)
                for message in parse(reply.iter_lines()):
                    failures = 0
                    position = message.id or position
                    yield message
                    if message.event == "end":
                        return
        except httpx.HTTPError as error:
            failures += 1
            if failures > RECONNECTS:
                raise faults.away(str(http.base_url), error) from error
        time.sleep(min(2.0, 0.1 * 2**failures))


def parse(lines: Iterator[str]) -> Iterator[Message]:
    """The messages in the lines of a stream (HTML standard, section 9.2)."""
    event, identity = "message", None
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Message(event, json.loads("\n".join(data)), identity)
            event, data, identity = "message", [], None
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            identity = value
