"""The authorisation table: every route of both edges, asked by everybody; a route without a row fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from condarium.database import Database, namespaces, roles, tokens
from condarium.database.tokens import Wanted
from condarium.domain.access import Role
from condarium.domain.artifact import ArtifactType
from condarium.domain.token import Claims, TokenKey
from condarium.http.feed import Feed
from services.api import service as api_service
from services.api.endpoint import Gateway
from services.registry import service as registry_service
from services.registry.service import Registry
from tests.fixtures.authorisation import COLUMNS, GATEWAY, ON_DEMAND, REGISTRY, SOMETIMES, Row
from tests.fixtures.gateway import TOKEN, gateway_settings
from tests.fixtures.registry import registry_settings
from tests.fixtures.served import Served, make_lock, served

HELD = {
    "viewer": {"team/*": ["viewer"]},
    "editor": {"team/*": ["developer"]},
    "admin": {"team/*": ["admin"]},
    "stranger": {"other/*": ["admin"]},
}


class Forgetful(Database):
    """Nothing is ever committed: every request finds what the test prepared."""

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with super().transaction() as session:
            yield session
            session.flush()
            session.rollback()


class World:
    """The content, whose tokens are whose, and the two edges over it."""

    def __init__(self, content: Served) -> None:
        self.content = content
        settings = gateway_settings(content.database.url, content.storage_url)
        self.key = TokenKey(settings.secret)
        self.headers = self._people()
        database = Forgetful(content.database.url)
        self.databases = [database]
        self.feeds = Feed(database), Feed(database)
        self.gateway = api_service.application(Gateway(settings, database, content.storage, self.feeds[0]))
        registry = registry_settings(
            content.database.url,
            content.storage_url,
            wait_seconds=0,
            poll=1,
            admin_token=TOKEN,
            secret=settings.secret,
            anonymous_bindings=settings.anonymous_bindings,
        )
        self.registry = registry_service.make_app(Registry(registry, database, content.storage, self.feeds[1]))

    def _people(self) -> dict[str, dict[str, str]]:
        soon, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=1)
        shown = {"anonymous": {}, "root": {"Authorization": f"Bearer {TOKEN}"}}
        with self.content.database.transaction() as session:
            made = {name: tokens.create(session, _wanted(soon, held), actor="t") for name, held in HELD.items()}
            everything = {"*/*": ["admin"]}
            made["expired"] = tokens.create(session, _wanted(past, everything), actor="t")
            made["revoked"] = tokens.create(session, _wanted(soon, everything), actor="t")
            tokens.revoke(session, made["revoked"].id, actor="t")
            for name, row in made.items():
                claims = Claims(row.identity, row.owner, soon, row.primary_namespace, row.role_bindings)
                shown[name] = {"Authorization": f"Bearer {self.key.sign(claims)}"}
        return shown

    def close(self) -> None:
        for database in self.databases:
            database.close()


def _wanted(until: datetime, held: dict[str, list[str]]) -> Wanted:
    return Wanted(owner="admin", primary_namespace="default", role_bindings=held, expires_on=until)


@pytest.fixture(scope="module")
def world(postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    from tests.fixtures.infrastructure import _database

    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with served(url, tmp_path_factory.mktemp("storage")) as content:
            prepare(content)
            world = World(content)
            yield world
            world.close()


def prepare(content: Served) -> None:
    build_id = content.submit("first", namespace="team").build_id
    assert build_id == 1
    content.solve(build_id, make_lock("zlib"))
    content.complete(build_id)
    content.make_image(build_id)
    for kind in (ArtifactType.LOCKFILE, ArtifactType.YAML, ArtifactType.LOGS):
        content.make(build_id, kind, b"content")
    content.storage.put("logs/first.log", b"log")
    with content.database.transaction() as session:
        team = namespaces.load(session, "team")
        for name in ("other", "mine"):
            namespaces.create(session, name, actor="t")
        roles.create(session, team, namespaces.load(session, "mine"), Role.VIEWER, actor="t")


@asynccontextmanager
async def client(app: Starlette, feed: Feed) -> AsyncIterator[httpx.AsyncClient]:
    """Streams end at once here, so that each is one request."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        while not feed.ready:
            await asyncio.sleep(0.01)
        feed.close()
        yield http


async def ask(world: World, http: httpx.AsyncClient, method: str, row: Row, digest: str = "") -> dict[str, int]:
    """The code that everybody gets."""
    found = {}
    for column in COLUMNS:
        reply = await http.request(
            method, row.path.format(digest=digest), json=row.body, headers={**row.headers, **world.headers[column]}
        )
        found[column] = reply.status_code
    return found


def routes(app: Starlette) -> list[str]:
    found = []
    for route in app.routes:
        assert isinstance(route, Route), f"{route} is no plain route: teach this test to walk it"
        found += [f"{method} {route.path}" for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


async def walk(world: World, app: Starlette, feed: Feed, table: dict[str, Row], digest: str = "") -> list[str]:
    """What is otherwise than the table says, a line for each row."""
    wrong = []
    async with client(app, feed) as http:
        for name, row in table.items():
            found = await ask(world, http, name.partition(" ")[0], row, digest)
            if found != row.expected:
                wrong.append(f"{name}: {' '.join(map(str, found.values()))}, not {row.codes}")
    return wrong


def layer(world: World) -> str:
    """A blob of the image of `team/first`."""
    return f"sha256:{next(iter(world.content.layers))}"


def without_a_row(app: Starlette, table: dict[str, Row]) -> list[str]:
    known = routes(app)
    assert len(known) == len(set(known))
    return sorted(set(known) - set(table) - set(SOMETIMES))


def test_every_route_has_a_row_and_every_row_a_route(world: World) -> None:
    for edge, app, table in (("gateway", world.gateway, GATEWAY), ("registry", world.registry, REGISTRY)):
        missing = "\n".join(without_a_row(app, table))
        assert missing == "", f"{edge}: give these a row in tests/fixtures/authorisation.py"
        assert set(table) - set(routes(app)) == set(), f"{edge}: rows without a route"


def test_the_gateway_answers_as_the_table_says(world: World) -> None:
    assert "\n".join(asyncio.run(walk(world, world.gateway, world.feeds[0], GATEWAY))) == ""


def test_the_registry_answers_as_the_table_says(world: World) -> None:
    table = {**REGISTRY, "GET on demand": ON_DEMAND}
    assert "\n".join(asyncio.run(walk(world, world.registry, world.feeds[1], table, layer(world)))) == ""


def test_the_columns_are_who_they_say(world: World) -> None:
    """An ended token is anonymous, not refused; the others have the bindings that their columns name."""

    async def told() -> dict[str, Any]:
        async with client(world.gateway, world.feeds[0]) as http:
            found = {}
            for column in COLUMNS:
                reply = await http.get("/api/v1/permission/", headers=world.headers[column])
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


def test_a_route_without_a_row_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leak(request: Any) -> Any:
        return PlainTextResponse("everything")

    added = [*world.gateway.router.routes, Route("/leak/", leak)]
    monkeypatch.setattr(world.gateway.router, "routes", added)
    assert "GET /leak/" in without_a_row(world.gateway, GATEWAY)
    wrong = asyncio.run(walk(world, world.gateway, world.feeds[0], {"GET /leak/": Row("403 " * 8, "/leak/")}))
    assert wrong == [f"GET /leak/: {'200 ' * 7}200, not {'403 ' * 8}"]


def test_no_row_leaves_anything_behind(world: World) -> None:
    with world.content.database.transaction() as session:
        assert [row.role for row in roles.listed(session, namespaces.load(session, "team"))] == ["viewer"]
    assert Path(world.content.storage_url.removeprefix("file://")).exists()
