"""The authorisation table: every route of both edges, asked by everybody; a route without a row fails."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from condarium.database import namespaces, roles
from condarium.http.feed import Feed
from tests.fixtures.authorisation import COLUMNS, GATEWAY, ON_DEMAND, REGISTRY, SOMETIMES, Row
from tests.fixtures.edges import HELD, Edges, client, routes


async def ask(edges: Edges, http: httpx.AsyncClient, method: str, row: Row, digest: str = "") -> dict[str, int]:
    """The code that everybody gets."""
    found = {}
    for column in COLUMNS:
        reply = await http.request(
            method,
            row.path.format(digest=digest),
            json=row.body,
            data=row.form,
            headers={**row.headers, **edges.headers[column]},
        )
        found[column] = reply.status_code
    return found


async def walk(edges: Edges, app: Starlette, feed: Feed, table: dict[str, Row], digest: str = "") -> list[str]:
    """What is otherwise than the table says, a line for each row."""
    wrong = []
    async with client(app, feed) as http:
        for name, row in table.items():
            found = await ask(edges, http, name.partition(" ")[0], row, digest)
            if found != row.expected:
                wrong.append(f"{name}: {' '.join(map(str, found.values()))}, not {row.codes}")
    return wrong


def layer(edges: Edges) -> str:
    """A blob of the image of `team/first`."""
    return f"sha256:{next(iter(edges.content.layers))}"


def without_a_row(app: Starlette, table: dict[str, Row]) -> list[str]:
    known = routes(app)
    assert len(known) == len(set(known))
    return sorted(set(known) - set(table) - set(SOMETIMES))


def test_every_route_has_a_row_and_every_row_a_route(edges: Edges) -> None:
    for edge, app, table in (("gateway", edges.gateway, GATEWAY), ("registry", edges.registry, REGISTRY)):
        missing = "\n".join(without_a_row(app, table))
        assert missing == "", f"{edge}: give these a row in tests/fixtures/authorisation.py"
        assert set(table) - set(routes(app)) == set(), f"{edge}: rows without a route"


def test_the_gateway_answers_as_the_table_says(edges: Edges) -> None:
    assert "\n".join(asyncio.run(walk(edges, edges.gateway, edges.feeds[0], GATEWAY))) == ""


def test_the_registry_answers_as_the_table_says(edges: Edges) -> None:
    table = {**REGISTRY, "GET on demand": ON_DEMAND}
    assert "\n".join(asyncio.run(walk(edges, edges.registry, edges.feeds[1], table, layer(edges)))) == ""


def test_the_columns_are_who_they_say(edges: Edges) -> None:
    """An ended token is anonymous, not refused; the others have the bindings that their columns name."""

    async def told() -> dict[str, Any]:
        async with client(edges.gateway, edges.feeds[0]) as http:
            found = {}
            for column in COLUMNS:
                reply = await http.get("/api/v1/permission/", headers=edges.headers[column])
                found[column] = reply.json()["data"]["entity_roles"]
            return found

    public = {"default/*": ["viewer"]}
    assert asyncio.run(told()) == {
        "anonymous": public,
        **{name: public | held for name, held in HELD.items()},
        "root": public | {"*/*": ["admin"]},
        "expired": public,
        "revoked": public,
    }


def test_a_route_without_a_row_is_found(edges: Edges, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leak(request: Any) -> Any:
        return PlainTextResponse("everything")

    added = [*edges.gateway.router.routes, Route("/leak/", leak)]
    monkeypatch.setattr(edges.gateway.router, "routes", added)
    assert "GET /leak/" in without_a_row(edges.gateway, GATEWAY)
    wrong = asyncio.run(walk(edges, edges.gateway, edges.feeds[0], {"GET /leak/": Row("403 " * 8, "/leak/")}))
    assert wrong == [f"GET /leak/: {'200 ' * 7}200, not {'403 ' * 8}"]


def test_no_row_leaves_anything_behind(edges: Edges) -> None:
    with edges.content.database.transaction() as session:
        assert [row.role for row in roles.listed(session, namespaces.load(session, "team"))] == ["viewer"]
    assert Path(edges.content.storage_url.removeprefix("file://")).exists()
