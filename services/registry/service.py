"""The edge: the application around the routes of `routes`. Translates; decides nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from condarium.errors import CondariumError
from condarium.http import operating
from condarium.http.faults import Surprises
from condarium.http.proxies import Proxies
from condarium.http.requests import AccessLog
from services.registry import replies, routes
from services.registry.registry import Registry

__all__ = ["Registry", "make_app"]


@contextlib.asynccontextmanager
async def _running(registry: Registry) -> AsyncIterator[None]:
    task = asyncio.create_task(registry.feed.run())
    try:
        async with registry.tallies.running(), registry.held_tokens.running():
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await registry.remembered.close()


def make_app(registry: Registry) -> Starlette:
    """The application; its lifespan runs the feed, and writes the tallies and last uses."""
    app = Starlette(
        routes=[*operating.routes(registry.checks), *routes.every(registry)],
        middleware=[
            Middleware(Proxies, trusted=registry.proxies),
            Middleware(AccessLog),
            Middleware(Surprises, render=replies.render),
        ],
        exception_handlers={CondariumError: replies.on_condarium_error, HTTPException: replies.on_http_exception},
        lifespan=lambda _: _running(registry),
    )
    # the protocol has no two spellings of an address
    app.router.redirect_slashes = False
    return app
