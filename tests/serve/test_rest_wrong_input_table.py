"""Each row of the table of wrong input (`tests/fixtures/wrong_inputs.py`) has its answer, and changes nothing."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from services.api.declaration import DeclaredRoute
from services.api.service import application
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import patient
from tests.fixtures.rest_scenario import prepare
from tests.fixtures.wrong_inputs import TABLE, Row

#: that is changed by nothing that is refused; refusals themselves are counted elsewhere
TABLES = (
    "builds", "environments", "namespaces", "specifications", "build_artifacts", "build_labels", "tokens", "settings",
    "credentials", "role_mappings", "namespace_roles", "outbox", "solves",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(quiet_gateway: RunningGateway) -> RunningGateway:
    prepare(quiet_gateway)
    assert quiet_gateway.post("first") == 3
    assert quiet_gateway.post("first", namespace="team") == 4
    return quiet_gateway


@pytest.fixture(scope="module")
def rows(house: RunningGateway) -> Iterator[Any]:
    """Called, it gives a digest of all rows that requests write."""
    with psycopg.connect(house.database.url, autocommit=True) as connection:

        def digest() -> dict[str, str]:
            found = {}
            for table in TABLES:
                query = f"select coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from {table} t"
                found[table] = connection.execute(query).fetchone()[0]  # type: ignore[index]
            return found

        yield digest


def ask(house: RunningGateway, row: Row) -> tuple[int, str, bytes]:
    """Code, media type, body. http.client sends the path as it is; httpx would tidy it up."""
    method, path, body, _, _ = row
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(urlsplit(house.address).netloc, timeout=patient(20))
    try:
        connection.request(method, path, content, {"Authorization": house.admin.headers["authorization"]})
        reply = connection.getresponse()
        return reply.status, reply.headers.get("content-type", ""), reply.read()
    finally:
        connection.close()


def said(status: int, body: bytes) -> str:
    """The sentence; fails for a body of another form than the contract's three."""
    if status < 400:
        return ""
    content = json.loads(body)
    if status == 422:
        assert set(content) == {"detail"}
        assert all(set(item) >= {"type", "loc", "msg", "input"} for item in content["detail"])
        return "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in content["detail"])
    if "detail" in content:
        assert content in ({"detail": "Not Found"}, {"detail": "Method Not Allowed"})
        return str(content["detail"])
    assert set(content) == {"status", "message", "code"}
    assert content["status"] == "error"
    return str(content["message"])


@pytest.mark.parametrize("row", TABLE, ids=[f"{row[0]} {row[1][:70]} {str(row[2])[:40]!r}" for row in TABLE])
def test_each_wrong_input_has_its_answer(house: RunningGateway, rows: Any, row: Row) -> None:
    before = rows()
    status, _, body = ask(house, row)
    assert status == row[3], body[:500]
    sentence = said(status, body)
    assert row[4] in sentence
    assert len(sentence) < 3000
    assert b"Traceback" not in body
    assert b"hush" not in body
    assert rows() == before


def test_the_table_is_long_and_goes_over_all_routes(house: RunningGateway) -> None:
    assert len([row for row in TABLE if row[3] >= 400]) >= 120
    assert len({(row[0], row[1], str(row[2])) for row in TABLE}) == len(TABLE)
    missing = []
    for route in application(house.gateway).routes:
        assert isinstance(route, DeclaredRoute)
        said = route.declaration
        if said.is_page:
            # What is typed wrong into pages has tests of its own.
            continue
        takes = bool(route.param_convertors) or said.body is not None or bool(said.query and said.query.model_fields)
        for method in (route.methods or set()) - {"HEAD"}:
            if takes and not any(fits(route, method, row) for row in TABLE):
                missing.append(f"{method} {route.path}")
    assert missing == []


def fits(route: DeclaredRoute, method: str, row: Row) -> bool:
    path = urlsplit(row[1]).path
    return row[0] == method and row[3] >= 400 and bool(route.path_regex.match(path))
