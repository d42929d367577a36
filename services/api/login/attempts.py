"""Guessing is slow: failed logins are counted per name and per address, over all copies of the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from condarium.database import login_attempts
from condarium.errors import NotAuthorized, TooManyRequests
from services.api.endpoint import Call


@asynccontextmanager
async def counted(call: Call[Any, Any], username: str) -> AsyncIterator[None]:
    """One attempt; it counts if the block raises NotAuthorized.

    Raises TooManyRequests when there were too many, without running the block: a right password is not told from a
    wrong one then.
    """
    gateway, settings = call.gateway, call.gateway.login
    limits = {_subject(call, "address", call.address or ""): settings.login_address_attempts}
    if username:
        limits[_subject(call, "name", username)] = settings.login_attempts

    def begin() -> tuple[list[int], float]:
        return login_attempts.begin(gateway.database, limits, window_seconds=settings.login_window_seconds)

    ids, wait = await call.aside(begin)
    if wait:
        await call.within(lambda session: login_attempts.uncount(session, ids))
        gateway.tallies.denied(
            principal="anonymous", action="login", resource="*/*", address=call.address, outcome="failed"
        )
        raise TooManyRequests(f"too many failed logins; try again in {wait:.0f} seconds", retry_after=wait)
    try:
        yield
    except NotAuthorized:
        gateway.tallies.denied(
            principal="anonymous", action="login", resource="*/*", address=call.address, outcome="failed"
        )
        raise
    await call.within(lambda session: login_attempts.uncount(session, ids))


def _subject(call: Call[Any, Any], kind: str, value: str) -> str:
    return login_attempts.subject(kind, value, call.gateway.settings.secret)
