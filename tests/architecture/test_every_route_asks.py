"""Every route of both HTTP edges asks `domain.access` who may, on a live request; the few that do not are named."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from condarium.domain import access
from condarium.domain.access import Action, Principal, Resource, Visible
from condarium.http.feed import Feed
from tests.fixtures.authorisation import GATEWAY, REGISTRY, Row
from tests.fixtures.edges import Edges, client, routes
from tests.fixtures.gateway import TOKEN

#: pattern: why nobody has to be asked
PUBLIC = {
    "/healthz": "names no data: whether the process lives",
    "/readyz": "names parts of the installation, never data",
    "/metrics": "figures without names of people, namespaces or environments",
    "/api/v1/": "the version of the contract, which clients ask for before they log in",
    "/api/v1/permission/": "tells the caller about the caller",
    "/ui/": "a page of fixed text; what it shows it asks for itself",
    "/ui/{path:path}": "the same page",
    "/static/conda-store-ui/{file}": "two files of a public package",
    "/favicon.ico": "a picture",
    "/login/": "gives a cookie for credentials, which is worth no more than they are",
    "/logout/": "ends the caller's own login",
    "/openapi.json": "the description of the contract, the same in every installation",
    "/docs": "the same for people",
    "/redoc": "sends to /docs",
    "/api/v1/signing-keys/": "public keys are public; its POST asks",
    "/api/v1/signing-keys/pem/": "a public key",
    "/v2/token": "gives back, as a token, what the credentials of the request are worth, and no more",
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


def edge_of(edges: Edges, name: str) -> tuple[Starlette, Feed, dict[str, Row]]:
    if name == "gateway":
        return edges.gateway, edges.feeds[0], GATEWAY
    return edges.registry, edges.feeds[1], REGISTRY


async def walk(edges: Edges, name: str, spy: Spy, headers: dict[str, str]) -> list[tuple[str, str, int, bool]]:
    """(method, pattern, status, whether somebody was asked) of a live request to every route."""
    app, feed, table = edge_of(edges, name)
    found = []
    async with client(app, feed) as http:
        for route in routes(app):
            # Every route has its row: the test of the table sees to that.
            row = table.get(route, Row("", "/nothing/"))
            method, _, pattern = route.partition(" ")
            spy.asked.clear()
            path = row.path.format(digest=f"sha256:{'0' * 64}")
            reply = await http.request(method, path, json=row.body, data=row.form, headers=headers)
            # Pages know nothing of who has not logged in: they are turned away before there is anything to ask.
            turned_away = not headers and pattern.startswith("/admin/") and reply.status_code in (303, 403)
            assert not turned_away or reply.headers.get("location", "/login/").startswith("/login/")
            found.append((method, pattern, reply.status_code, bool(spy.asked) or turned_away))
    return found


@pytest.mark.parametrize("edge", ["gateway", "registry"])
@pytest.mark.parametrize("headers", [{}, ADMIN], ids=["anonymous", "admin"])
def test_every_route_asks(edges: Edges, monkeypatch: pytest.MonkeyPatch, edge: str, headers: dict[str, str]) -> None:
    spy = Spy(monkeypatch)
    walked = asyncio.run(walk(edges, edge, spy, headers))
    assert [each for each in walked if each[2] >= 500 and each[1] not in PUBLIC] == []
    silent = {f"{method} {pattern}" for method, pattern, _, asked in walked if not asked and pattern not in PUBLIC}
    # The registry tells an anonymous docker to get a token before it asks anything.
    assert silent <= ({"GET /v2/", "GET /v2"} if not headers else set())
    assert len(walked) >= 9


def test_a_route_that_does_not_ask_is_found(edges: Edges, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leak(request: Any) -> Any:
        return PlainTextResponse("everything")

    added = [*edges.gateway.router.routes, Route("/nothing/", leak)]
    monkeypatch.setattr(edges.gateway.router, "routes", added)
    walked = asyncio.run(walk(edges, "gateway", Spy(monkeypatch), {}))
    assert ("GET", "/nothing/", 200, False) in walked


def test_what_is_public_is_a_route(edges: Edges) -> None:
    known = {each.partition(" ")[2] for app in (edges.gateway, edges.registry) for each in routes(app)}
    assert set(PUBLIC) <= known


def test_anonymous_changes_nothing_by_any_route(edges: Edges, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = asyncio.run(walk(edges, "gateway", Spy(monkeypatch), {}))
    writes = [each for each in walked if each[0] in ("POST", "PUT", "PATCH", "DELETE") and each[1] not in PUBLIC]
    assert [each for each in writes if each[2] != 403] == []
    assert len(writes) > 20
