"""Server-sent events."""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from condarium.http.stream import Stream

#: proxies drop connections that are silent for long
KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
#: how long a client waits before it comes back
RETRY = b"retry: 2000\n\n"


def message(event: str, data: Mapping[str, Any], *, identity: int | None = None) -> bytes:
    """One event; `identity` is what the client sends back as Last-Event-ID."""
    head = f"id: {identity}\n" if identity is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class EventStream(Stream):
    """`source` yields `message(...)` and KEEP_ALIVE."""

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        super().__init__(source, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
