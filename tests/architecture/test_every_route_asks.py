"""Every route of both HTTP edges asks `domain.access` who may, on a live request; the few that do not are named."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from condarium.domain import access
from condarium.domain.access import Action, Principal, Resource, Visible
from condarium.http.feed import Feed
from services.api import service as api_service
from services.api.endpoint import Gateway
from services.registry import service as registry_service
from services.registry.service import Registry
from tests.fixtures.gateway import SPECIFICATION, TOKEN, gateway_settings
from tests.fixtures.registry import registry_settings
from tests.fixtures.served import Served, make_lock, served

#: pattern: why nobody has to be asked
PUBLIC = {
    "/healthz": "names no data: whether the process lives",
    "/readyz": "names parts of the installation, never data",
    "/metrics": "figures without names of people, namespaces or environments",
    "/api/v1/": "the version of the contract, which clients ask for before they log in",
    "/ui/": "a page of fixed text; what it shows it asks for itself",
    "/ui/{path:path}": "the same page",
    "/static/conda-store-ui/{file}": "two files of a public package",
    "/favicon.ico": "a picture",
    "/login/": "gives a cookie for credentials, which is worth no more than they are",
    "/logout/": "ends the caller's own login",
    "/openapi.json": "the description of the contract, the same in every installation",
    "/docs": "the same for people",
    "/redoc": "sends to /docs",
    "/v2/token": "gives back, as a token, what the credentials of the request are worth, and no more",
}
SAMPLES = {
    "namespace": "default",
    "environment_name": "first",
    "build_id": "1",
    "token_id": "1",
    "path": "x",
    "artifact_type": "LOCKFILE",
    "key": "logs/first.log",
    "name": "default/first",
    "reference": "latest",
    "file": "main.js",
    "subject": "default",
    "credential": "art",
    "digest": f"sha256:{'0' * 64}",
}
CREDENTIAL = {"kind": "bearer", "url": "https://conda.example.org", "token": "t"}
BODIES = {
    "/api/v1/credential/{subject}/": CREDENTIAL,
    "/api/v1/credential/{namespace}/{credential}/": CREDENTIAL,
    "/api/v1/specification/": {"specification": SPECIFICATION.format("first")},
    "/api/v1/environment/{namespace}/{environment_name}/": {"description": "asked"},
}
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


class Spy:
    """Notes the questions that are put to `domain.access`, and lets the real one answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        may, visible = access.may, access.visible

        def spied_may(principal: Principal, action: Action, resource: Resource, **more: Any) -> bool:
            self.asked.append(f"{action} {resource.arn}")
            return may(principal, action, resource, **more)

        def spied_visible(principal: Principal, action: Action = Action.READ_ENVIRONMENT) -> Visible:
            self.asked.append(f"visible for {action}")
            return visible(principal, action)

        monkeypatch.setattr(access, "may", spied_may)
        monkeypatch.setattr(access, "visible", spied_visible)


@pytest.fixture
def content(database_url: str, storage_dir: Path) -> Iterator[Served]:
    with served(database_url, storage_dir) as found:
        build_id = found.submit("first").build_id
        found.solve(build_id, make_lock("zlib"))
        found.complete(build_id)
        yield found


def gateway(content: Served) -> tuple[Starlette, Feed]:
    feed = Feed(content.database)
    settings = gateway_settings(content.database.url, content.storage_url)
    return api_service.application(Gateway(settings, content.database, content.storage, feed)), feed


def registry(content: Served) -> tuple[Starlette, Feed]:
    feed = Feed(content.database)
    settings = registry_settings(
        content.database.url, content.storage_url, wait_seconds=0, poll=1, admin_token=TOKEN, database_pool_size=4
    )
    return registry_service.make_app(Registry(settings, content.database, content.storage, feed)), feed


def requests(app: Starlette) -> list[tuple[str, str, str]]:
    """(method, pattern, path with samples) of every route."""
    found = []
    for route in app.routes:
        assert isinstance(route, Route), f"{route} is no plain route: teach this test to walk it"
        names = re.findall(r"\{(\w+)(?::\w+)?\}", route.path)
        unknown = set(names) - set(SAMPLES)
        assert not unknown, f"{route.path} has parts without a sample here: {sorted(unknown)}"
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: SAMPLES[match[1]], route.path)
        found += [(method, route.path, path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


@asynccontextmanager
async def client(app: Starlette, feed: Feed) -> AsyncIterator[httpx.AsyncClient]:
    """Streams end at once here, so that each is one request."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        while not feed.ready:
            await asyncio.sleep(0.01)
        feed.close()
        yield http


async def walk(app: Starlette, feed: Feed, spy: Spy, headers: dict[str, str]) -> list[tuple[str, str, int, bool]]:
    """(method, pattern, status, whether somebody was asked) of a live request to every route."""
    found = []
    async with client(app, feed) as http:
        for method, pattern, path in requests(app):
            spy.asked.clear()
            body = BODIES.get(pattern) if method in ("POST", "PUT") else None
            reply = await http.request(method, path, json=body, headers=headers)
            found.append((method, pattern, reply.status_code, bool(spy.asked)))
    return found


@pytest.mark.parametrize("edge", [gateway, registry])
@pytest.mark.parametrize("headers", [{}, ADMIN], ids=["anonymous", "admin"])
def test_every_route_asks(content: Served, monkeypatch: pytest.MonkeyPatch, edge: Any, headers: dict[str, str]) -> None:
    spy = Spy(monkeypatch)
    walked = asyncio.run(walk(*edge(content), spy, headers))
    assert [each for each in walked if each[2] >= 500] == []
    silent = {f"{method} {pattern}" for method, pattern, _, asked in walked if not asked and pattern not in PUBLIC}
    # The registry tells an anonymous docker to get a token before it asks anything.
    assert silent <= ({"GET /v2/", "GET /v2"} if not headers else set())
    assert len(walked) >= 9


def test_a_route_that_does_not_ask_is_found(content: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leak(request: Any) -> Any:
        return PlainTextResponse("everything")

    app, feed = gateway(content)
    app.router.routes.append(Route("/leak/", leak))
    walked = asyncio.run(walk(app, feed, Spy(monkeypatch), {}))
    assert ("GET", "/leak/", 200, False) in walked


def test_what_is_public_is_a_route(content: Served) -> None:
    known = {pattern for edge in (gateway, registry) for _, pattern, _ in requests(edge(content)[0])}
    assert set(PUBLIC) <= known


@pytest.mark.parametrize("edge", [gateway, registry])
def test_anonymous_changes_nothing_by_any_route(content: Served, monkeypatch: pytest.MonkeyPatch, edge: Any) -> None:
    walked = asyncio.run(walk(*edge(content), Spy(monkeypatch), {}))
    writes = [each for each in walked if each[0] in ("POST", "PUT", "PATCH", "DELETE") and each[1] not in PUBLIC]
    assert [each for each in writes if each[2] != 403] == []
