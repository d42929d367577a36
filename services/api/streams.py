"""Events and build logs as they happen: server-sent events that can be taken up where they broke off."""

import asyncio
import codecs
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.database import listing_events, outbox
from condarium.database.listing_events import EventFilter
from condarium.database.outbox import Stored
from condarium.domain.access import Action
from condarium.errors import InvalidInput, Unavailable
from condarium.events import EVENTS
from condarium.http import byte_ranges
from condarium.http.event_stream import KEEP_ALIVE, KEEP_ALIVE_SECONDS, EventStream, message
from condarium.http.feed import StreamEnded
from services.api import handlers, wire
from services.api.bodies import MAX_NUMBER, EventsQuery
from services.api.declaration import EVENT_STREAM
from services.api.endpoint import Call, Gateway, Slow, slow
from services.api.handlers import BuildNews

#: events and chunks read at a time
BATCH = 500


def routes(gateway: Gateway) -> list[Route]:
    def stream(path: str, function: Slow) -> Route:
        taken = {"Last-Event-ID": "the `id` of the last event that was seen; it wins over `after`"}
        return slow(gateway, path, function, query=EventsQuery, returns=EVENT_STREAM, errors=(400, 403), takes=taken)

    return [
        stream("/api/v1/events/", follow_events),
        stream("/api/v1/build/{build_id}/events/", follow_events_of_build),
        stream("/api/v1/build/{build_id}/logs/stream/", follow_log),
    ]


async def follow_events(call: Call[EventsQuery, Any]) -> Response:
    """What was missed since `Last-Event-ID` or `?after=`, then a `live` event, then what happens."""
    query = call.query
    if query.namespace:
        call.caller.require(Action.READ_EVENTS, query.namespace, query.environment)
    types = event_types(query.type)
    return await _events(call, query.build, types)


async def follow_events_of_build(call: Call[EventsQuery, Any]) -> Response:
    """All events of one build, from its first unless told otherwise."""
    build_id = call.number("build_id")
    await call.within(lambda session: handlers.find_build(session, call.caller, build_id, Action.READ_EVENTS))
    return await _events(call, build_id, event_types(call.query.type), default_after=0)


async def _events(
    call: Call[EventsQuery, Any], build: int | None, types: frozenset[str], *, default_after: int | None = None
) -> Response:
    await call.gateway.feed.begun()
    if not call.gateway.feed.ready:
        raise Unavailable("events cannot be followed before the database has answered; try again in a moment")
    after = last_event_id(call)
    wanted = EventFilter(
        visible=call.caller.visible(Action.READ_EVENTS),
        namespace=call.query.namespace,
        environment=call.query.environment,
        build=build,
        routing_keys=types,
    )
    return EventStream(event_source(call, wanted, default_after if after is None else after))


def event_types(patterns: tuple[str, ...]) -> frozenset[str]:
    """The routing keys that the patterns mean; empty means all. `build.completed` means every version of it.

    Raises InvalidInput for a pattern that no event fits.
    """
    chosen: set[str] = set()
    for pattern in (each.strip() for entry in patterns for each in entry.split(",")):
        if not pattern:
            continue
        found = {key for key in EVENTS if fnmatchcase(key, pattern) or fnmatchcase(key.rpartition(".")[0], pattern)}
        if not found:
            raise InvalidInput(f"type={pattern[:80]!r} fits no event; there are {', '.join(EVENTS)}")
        chosen |= found
    return frozenset(chosen)


def last_event_id(call: Call[EventsQuery, Any]) -> int | None:
    """The position to go on from: the header of a client that comes back wins over its first address."""
    header = call.request.headers.get("last-event-id", "").strip()
    if header.isascii() and header.isdecimal() and len(header) < 19:
        return min(int(header), MAX_NUMBER)
    return call.query.after


async def event_source(
    call: Call[EventsQuery, Any], wanted: EventFilter, after: int | None
) -> AsyncGenerator[bytes, None]:
    """`after` None is from now on. Each event is authorised by itself, by what the caller may do when it is sent.

    Ends when the credential does.
    """
    caller = call.caller

    def accepts(event: Stored) -> bool:
        return wanted.fits(event) and caller.may(Action.READ_EVENTS, event.namespace, event.environment)

    async def still() -> bool:
        nonlocal caller, wanted
        try:
            caller = await call.caller_now()
        except Unavailable:
            # Without the database there are no events either.
            return True
        wanted = replace(wanted, visible=caller.visible(Action.READ_EVENTS))
        return caller.name == call.caller.name

    async def missed(position: int) -> list[Stored]:
        return await call.within(lambda session: listing_events.after(session, position, wanted, limit=BATCH))

    def shown(events: Iterable[Stored]) -> Iterator[bytes]:
        return (message(each.routing_key, each.body, identity=each.seq) for each in events if accepts(each))

    last = after
    if after:
        first = await call.within(outbox.first_seq)
        if after < first - 1:
            # What lies between is too old to be told of any more.
            yield message("gone", {"after": after, "first": first})
    # However much was missed, it waits in the database and not in our memory: the subscription comes after it.
    while last is not None and (found := await missed(last)):
        for chunk in shown(found):
            yield chunk
        last = found[-1].seq
        if not await still():
            return
    with call.gateway.feed.events(accepts) as news:
        while last is not None and (found := await missed(last)):
            for chunk in shown(found):
                yield chunk
            last = found[-1].seq
        position = max(news.position, last or 0)
        yield message("live", {"after": position}, identity=position)
        with suppress(StreamEnded):
            while True:
                event = await news.next(KEEP_ALIVE_SECONDS)
                if not await still():
                    return
                if event is None:
                    yield KEEP_ALIVE
                elif (last is None or event.seq > last) and accepts(event):
                    yield message(event.routing_key, event.body, identity=event.seq)


async def follow_log(call: Call[EventsQuery, Any]) -> Response:
    """`log` events with what is written, `status` with how the build stands, `end` when it has ended."""
    build_id = call.number("build_id")
    row = await call.within(lambda session: handlers.find_build(session, call.caller, build_id))
    return EventStream(log_source(call, row.id, last_event_id(call) or 0))


async def log_source(call: Call[EventsQuery, Any], build_id: int, after: int) -> AsyncGenerator[bytes, None]:
    """Chunks behind chunk id `after`."""
    feed, said = call.gateway.feed, None

    async def unseen() -> BuildNews:
        return await call.within(lambda session: handlers.build_news(session, build_id, after=after, limit=BATCH))

    with feed.log_of(build_id) as woken:
        while not feed.closed:
            woken.clear()
            news = await unseen()
            # The credential may have ended since, or the role.
            if not (await call.caller_now()).may(Action.READ_BUILD, news.row.namespace, news.row.environment):
                return
            for chunk in news.chunks:
                yield message("log", {"attempt": chunk.attempt, "text": chunk.text}, identity=chunk.id)
                after = chunk.id
            state = wire.build_state(news.row)
            if state != said:
                said = state
                yield message("status", state)
            if len(news.chunks) == BATCH:
                continue
            if news.ended:
                async for text in _joined_log(call, news, after):
                    yield text
                yield message("end", state)
                return
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await woken.wait()
            except TimeoutError:
                yield KEEP_ALIVE


async def _joined_log(call: Call[EventsQuery, Any], news: BuildNews, after: int) -> AsyncGenerator[bytes, None]:
    """The log of a build whose chunks are gone, for a reader that has none of them."""
    if after or news.log_key is None:
        return
    key = news.log_key
    content = await call.aside(lambda: byte_ranges.stored(call.gateway.storage, key))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for chunk in byte_ranges.chunks(call.gateway.storage, content.pieces(0, content.size)):
        yield message("log", {"attempt": news.row.attempt, "text": decoder.decode(chunk)})
