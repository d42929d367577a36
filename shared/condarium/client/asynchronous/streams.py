"""Events and logs as they happen, with reconnects that miss nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx

from condarium.client import faults, retry
from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.messages import Message, Parser

#: the server speaks at least every 15 s
SILENCE_SECONDS = 45.0
#: in a row, without a message between them
RECONNECTS = 20


class AsyncStreams(AsyncConnection):
    """Streams are taken up from the last position that was seen when a connection breaks."""

    async def follow(self, build_id: int) -> AsyncIterator[Message]:
        """The log of a build as it grows (`log`), each change of its state (`status`), and its `end`."""
        async for message in self._messages(self._at("build", build_id, "logs", "stream"), {}, None):
            yield message

    async def events(
        self,
        *,
        after: int | None = None,
        namespace: str = "",
        environment: str = "",
        build: int | str = "",
        type: str = "",
    ) -> AsyncIterator[Message]:
        """Events for ever; `after=0` from the first, None from now. `type` is an event or a pattern (`build.*`).

        Once what was missed has been sent, a `live` message follows.
        """
        query = {"namespace": namespace, "environment": environment, "build": str(build), "type": type}
        wanted = {key: value for key, value in query.items() if value}
        async for message in self._messages(self._at("events"), wanted, after):
            yield message

    async def build_events(self, build_id: int, *, after: int = 0) -> AsyncIterator[Message]:
        """The events of one build for ever, from its first."""
        async for message in self._messages(self._at("build", build_id, "events"), {}, after):
            yield message

    async def _messages(self, path: str, query: Mapping[str, str], after: int | None) -> AsyncIterator[Message]:
        """Until the server says `end`."""
        position = None if after is None else str(after)
        failures, heard = 0, False
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": position} if position is not None else {})
            timeout = httpx.Timeout(10.0, read=SILENCE_SECONDS)
            parser = Parser()
            broken: faults.ApiError = faults.away(self.url, EOFError("the stream ended"))
            wait = None
            try:
                async with self._http.stream(
                    "GET", path, params=dict(query), headers=headers, timeout=timeout
                ) as reply:
                    if reply.status_code >= 400:
                        await reply.aread()
                        broken = faults.fault(reply)
                        if reply.status_code not in retry.PASSING:
                            raise broken
                        wait = retry.retry_after(reply)
                    else:
                        async for line in reply.aiter_lines():
                            message = parser.feed(line)
                            if message is None:
                                continue
                            failures, heard = 0, True
                            position = message.id or position
                            yield message
                            if message.event == "end":
                                return
            except httpx.HTTPError as error:
                broken = faults.away(self.url, error)
            except ValueError as error:
                raise faults.ApiError(f"{self.url} sends events that are not Condarium's: {error}") from None
            failures += 1
            # A server that was there a moment ago may be starting again; one that never was is away.
            if failures > (RECONNECTS if heard else self._tries - 1):
                raise broken
            await asyncio.sleep(min(wait if wait is not None else 0.1 * 2**failures, 2.0))
