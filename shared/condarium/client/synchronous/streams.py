# Made of `asynchronous` by `make client`: edit that.
"""Events and logs as they happen, with reconnects that miss nothing."""

import time
from collections.abc import Iterator, Mapping

import httpx

from condarium.client import faults, retry
from condarium.client.messages import Message, Parser
from condarium.client.synchronous.connection import Connection

#: the server speaks at least every 15 s
SILENCE_SECONDS = 45.0
#: in a row, without a message between them
RECONNECTS = 20


class Streams(Connection):
    """Streams are taken up from the last position that was seen when a connection breaks."""

    def follow(self, build_id: int) -> Iterator[Message]:
        """The log of a build as it grows (`log`), each change of its state (`status`), and its `end`."""
        for message in self._messages(self._at("build", build_id, "logs", "stream"), {}, None):
            yield message

    def events(
        self,
        *,
        after: int | None = None,
        namespace: str = "",
        environment: str = "",
        build: int | str = "",
        type: str = "",
    ) -> Iterator[Message]:
        """Events for ever; `after=0` from the first, None from now. `type` is an event or a pattern (`build.*`).

        Once what was missed has been sent, a `live` message follows.
        """
        query = {"namespace": namespace, "environment": environment, "build": str(build), "type": type}
        wanted = {key: value for key, value in query.items() if value}
        for message in self._messages(self._at("events"), wanted, after):
            yield message

    def build_events(self, build_id: int, *, after: int = 0) -> Iterator[Message]:
        """The events of one build for ever, from its first."""
        for message in self._messages(self._at("build", build_id, "events"), {}, after):
            yield message

    def _messages(self, path: str, query: Mapping[str, str], after: int | None) -> Iterator[Message]:
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
                with self._http.stream("GET", path, params=dict(query), headers=headers, timeout=timeout) as reply:
                    if reply.status_code >= 400:
                        reply.read()
                        broken = faults.fault(reply)
                        if reply.status_code not in retry.PASSING:
                            raise broken
                        wait = retry.retry_after(reply)
                    else:
                        for line in reply.iter_lines():
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
            time.sleep(min(wait if wait is not None else 0.1 * 2**failures, 2.0))
