"""Wakes the requests of this process that wait for an answer of another one, such as a solve."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Answers:
    """`wake` is called in the loop whenever there may be one."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def wake(self) -> None:
        for event in self._waiting:
            event.set()

    @contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """An event that is set with each call of `wake`; whoever waits clears it."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)
