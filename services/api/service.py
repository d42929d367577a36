"""The gateway's edge: the table of routes, and what every request passes through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from condarium.errors import CondariumError
from condarium.http import faults
from condarium.http.caller import COOKIE
from condarium.http.origins import Origins, allowed_origins
from condarium.http.proxies import Proxies, networks
from condarium.http.requests import AccessLog
from services.api import (
    admin,
    artifacts,
    audit,
    base_images,
    builds,
    credentials,
    downloads,
    environments,
    garbage,
    health,
    login,
    namespace_roles,
    namespaces,
    openapi,
    packages,
    pages,
    publishing,
    settings,
    signing,
    solves,
    specifications,
    status,
    streams,
    tokens,
    ui,
    usage,
    users,
)
from services.api.addresses import Addresses
from services.api.endpoint import Gateway


def application(gateway: Gateway) -> Starlette:
    """The ASGI application; its lifespan runs the feed of events."""
    routes = [route for subject in SUBJECTS for route in subject.routes(gateway)]
    routes += openapi.routes(gateway, tuple(routes))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        feed = asyncio.create_task(gateway.feed.run(), name="feed")
        async with (
            aclosing(gateway.reads),
            gateway.tallies.running(),
            gateway.held_tokens.running(),
            audit.keeping(gateway),
        ):
            yield
        gateway.feed.close()
        feed.cancel()
        with suppress(asyncio.CancelledError):
            await feed

    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=_middleware(gateway, routes),
        exception_handlers={
            CondariumError: faults.on_condarium_error,
            faults.Unprocessable: faults.on_unprocessable,
            HTTPException: faults.on_http_exception,
        },
    )


SUBJECTS = (
    health,
    pages,
    status,
    namespaces,
    namespace_roles,
    settings,
    usage,
    garbage,
    environments,
    specifications,
    solves,
    builds,
    packages,
    artifacts,
    downloads,
    streams,
    tokens,
    login,
    users,
    ui,
    audit,
    credentials,
    publishing,
    base_images,
    signing,
    admin,
)


def _middleware(gateway: Gateway, routes: list[Route]) -> list[Middleware]:
    """Outermost first."""
    slashless = [route.path_regex for route in routes if not route.path.endswith("/")]
    return [
        Middleware(Proxies, trusted=networks(gateway.login.trusted_proxies)),
        Middleware(AccessLog),
        # Any origin is echoed, as conda-store does; `Origins` sees to it that a foreign one cannot use the cookie.
        Middleware(
            CORSMiddleware,
            allow_origin_regex=".*",
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
        ),
        Middleware(faults.Surprises),
        Middleware(Addresses, prefix=gateway.settings.api_url_prefix, slashless=slashless),
        Middleware(
            Origins,
            cookie=COOKIE,
            own=gateway.settings.external_url,
            allowed=allowed_origins(gateway.login.allowed_origins),
            guarded=("/login/", "/logout/"),
        ),
    ]
