"""Slashes, and what conda-store's own clients do wrong and a good server absorbs."""

from typing import Any

import pytest

from tests.fixtures.gateway import RunningGateway


def data(reply: Any) -> Any:
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


@pytest.mark.parametrize("prefix", ["", "/conda-store"])
@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/permission", "/api/v1/build", "/api/v1/build/1", "/api/v2/environment"]
)
def test_reading_without_the_slash_is_answered_directly(quiet_gateway: RunningGateway, prefix: str, path: str) -> None:
    if not data(quiet_gateway.admin.get("/api/v1/build/")):
        quiet_gateway.post()
    assert quiet_gateway.admin.get(f"{prefix}{path}").status_code == 200
    assert quiet_gateway.admin.head(f"{prefix}{path}").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/conda-store"])
def test_writing_without_the_slash_is_sent_to_the_canonical_address(quiet_gateway: RunningGateway, prefix: str) -> None:
    for method, path in (("POST", "/api/v1/specification"), ("PUT", "/api/v1/build/1"), ("DELETE", "/api/v1/build/1")):
        reply = quiet_gateway.admin.request(method, f"{prefix}{path}?a=b%2Fc")
        assert reply.status_code == 307
        assert reply.headers["location"] == f"{quiet_gateway.address}{prefix}{path}/?a=b%2Fc"


def test_the_prefix_is_whole_words(quiet_gateway: RunningGateway) -> None:
    assert quiet_gateway.http.get("/conda-store").status_code == 200
    assert quiet_gateway.http.get("/conda-storeapi/v1/").status_code == 404
    unknown = quiet_gateway.http.get("/conda-store/api/v1/nonsense/")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})


def test_a_slash_glued_to_the_last_query_value_is_not_part_of_it(gateway: RunningGateway) -> None:
    first = gateway.post("one")
    gateway.post("two")
    assert gateway.admin.get("/api/v1/build?page=2&size=1/").json()["page"] == 2
    assert [row["id"] for row in data(gateway.admin.get("/api/v1/build?status=QUEUED&name=one/"))] == [first]
    assert data(gateway.admin.get("/api/v1/build?packages=python&packages=ipykernel/")) == []
    assert [row["name"] for row in data(gateway.admin.get("/api/v1/environment?search=tw/"))] == ["two"]
    assert [row["name"] for row in data(gateway.admin.get("/api/v1/namespace?page=1/"))] == ["default"]
    assert data(gateway.admin.get("/api/v1/environment/?search=tw%2F")) == []


def test_all_environments_are_one_page_unless_a_page_is_asked_for(gateway: RunningGateway) -> None:
    from condarium.database import environments, namespaces

    with gateway.database.transaction() as session:
        space = namespaces.ensure(session, "default", actor="test")
        for number in range(120):
            environments.ensure(session, space, f"e{number:03}", actor="test")
    everything = gateway.admin.get("/api/v1/environment").json()
    assert len(everything["data"]) == everything["count"] == 120
    paged = gateway.admin.get("/api/v1/environment/?page=2").json()
    assert (len(paged["data"]), paged["size"], paged["count"]) == (20, 100, 120)
    sized = gateway.admin.get("/api/v1/environment/?size=7").json()
    assert (len(sized["data"]), sized["page"], sized["count"]) == (7, 1, 120)


def test_builds_beyond_a_hundred_can_be_paged_by_the_client(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    with gateway.database.transaction() as session:
        from condarium.database import builds
        from condarium.work.submission import submit_again

        for _ in range(104):
            submit_again(session, builds.load(session, build_id), actor="test", source="api")
    rows: list[Any] = []
    page = 1
    while True:
        body = gateway.admin.get(f"/api/v1/build?page={page}/").json()
        rows += body["data"]
        if len(rows) == body["count"]:
            break
        page += 1
    assert len({row["id"] for row in rows}) == 105
    assert all(isinstance(row["size"], int) for row in rows)
