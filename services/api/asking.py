"""Requests that wait for the solver: no thread and no connection is held, one notification wakes them all."""

import asyncio
import time
from typing import Any

from condarium.database import solves
from condarium.database.solves import PENDING, Asked, Question, SolveState
from condarium.errors import InputFault, Unavailable, WorldFault
from services.api.endpoint import Call

#: how often a waiting request looks by itself
LOOK_SECONDS = 2.0
#: a client that was told to ask again finds its solve still wanted
GRACE_SECONDS = 30.0


class ClientGone(Exception):
    """Nobody waits any more."""


async def answer(call: Call[Any, Any], question: Question) -> Asked:
    """The answer to a question of the solver, its locks by platform.

    Raises InputFault in the solver's words, WorldFault when a channel is away, Unavailable when it takes longer than
    `CONDARIUM_API_SOLVE_SECONDS`, TooManyRequests, ClientGone.
    """
    settings = call.gateway.settings
    until = time.monotonic() + settings.api_solve_seconds
    found: Asked | None = await call.within(
        lambda session: solves.ask(
            session,
            question,
            actor=call.caller.name,
            fresh_seconds=settings.api_solve_fresh_seconds,
            wait_seconds=settings.api_solve_seconds + GRACE_SECONDS,
            most_pending=settings.api_solves_per_principal,
        )
    )
    assert found is not None
    number = found.id
    if found.state in PENDING:
        found = await _wait(call, number, until)
    if found.state == SolveState.SOLVED:
        return found
    if found.reason == solves.WORLD:
        raise WorldFault(f"it cannot be solved now: {found.message}")
    raise InputFault(found.message or "it cannot be solved", reason=found.reason or "unsolvable")


async def _wait(call: Call[Any, Any], number: int, until: float) -> Asked:
    gateway = call.gateway
    with gateway.answers.news() as news:
        while True:
            # What happened before the event was there is seen by looking once more.
            news.clear()
            found = await call.within(lambda session: solves.look(session, number))
            if found is None or gateway.feed.closed:
                raise Unavailable("the gateway is stopping; ask again in a moment")
            if found.state not in PENDING:
                return found
            left = until - time.monotonic()
            if left <= 0:
                raise Unavailable(_late(found, gateway.settings.api_solve_seconds))
            if await call.request.is_disconnected():
                raise ClientGone
            try:
                await asyncio.wait_for(news.wait(), min(left, LOOK_SECONDS))
            except TimeoutError:
                continue


def _late(found: Asked, seconds: float) -> str:
    stands = "no builder has begun the solve" if found.state == SolveState.QUEUED else "the solve is not done"
    return f"{stands} after {seconds:g} s; ask again to go on waiting for it"
