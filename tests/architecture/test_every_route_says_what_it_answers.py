"""Every route of the gateway declares its replies; what declares nothing is in no description and held to nothing."""

from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from condarium.database import Database
from condarium.http.feed import Feed
from condarium.storage import open_storage
from services.api.declaration import DeclaredRoute
from services.api.endpoint import Gateway
from services.api.openapi.parameters import PARTS
from services.api.service import application
from tests.fixtures.gateway import gateway_settings


@pytest.fixture
def routes(tmp_path: Path) -> list[Route]:
    """Of an application that is never asked: nothing is connected to."""
    url = "postgresql://nobody@127.0.0.1:1/nowhere"
    database = Database(url)
    storage_url = f"file://{tmp_path}"
    gateway = Gateway(gateway_settings(url, storage_url), database, open_storage(storage_url), Feed(database))
    found = application(gateway).routes
    database.close()
    return [route for route in found if isinstance(route, Route)]


def silent(routes: list[Route]) -> list[str]:
    return [route.path for route in routes if not isinstance(route, DeclaredRoute)]


def test_every_route_declares_its_replies(routes: list[Route]) -> None:
    assert silent(routes) == []
    assert len(routes) > 30


def test_a_route_without_a_declaration_is_found(routes: list[Route]) -> None:
    assert silent([*routes, Route("/mute/", lambda request: PlainTextResponse(""))]) == ["/mute/"]


def test_every_route_has_words_and_a_good_answer(routes: list[Route]) -> None:
    for route in routes:
        assert isinstance(route, DeclaredRoute)
        said = route.declaration
        assert len(said.summary) > 5, f"{route.path}: give {route.name} a docstring"
        assert any(reply.status < 400 for reply in said.replies), f"{route.path} promises only errors"


def test_every_part_of_a_path_is_described(routes: list[Route]) -> None:
    parts = {name for route in routes for name in route.param_convertors}
    assert parts - set(PARTS) == set(), "services/api/openapi/parameters.py: PARTS"
