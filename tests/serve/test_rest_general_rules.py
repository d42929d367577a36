"""Rules that hold for every route: prefix, slashes, errors, other origins, deprecation, what operators read."""

import re
from pathlib import Path

import pytest

from tests.fixtures.gateway import RunningGateway, running_gateway

PREFIXES = ["", "/conda-store"]
#: addresses of conda-store that have no slash at their end
SLASHLESS = ["namespace/default/roles", "namespace/default/role", "namespace/default/metadata"]


@pytest.fixture(scope="module")
def house(quiet_gateway: RunningGateway) -> RunningGateway:
    build_id = quiet_gateway.post("first")
    assert build_id == 1
    return quiet_gateway


@pytest.mark.parametrize("prefix", PREFIXES)
def test_all_routes_are_at_the_root_and_under_the_prefix(house: RunningGateway, prefix: str) -> None:
    for path in ("/", "/api/v1/", "/api/v1/build/", "/api/v2/environment/", "/openapi.json", "/docs", "/login/"):
        assert house.admin.get(f"{prefix}{path}").status_code == 200, path
    described = house.admin.get(f"{prefix}/openapi.json").json()
    assert described["servers"] == [{"url": prefix or "/"}]
    page = house.admin.get(f"{prefix}/docs").text
    assert f'href="{prefix}/openapi.json"' in page
    redoc = house.admin.get(f"{prefix}/redoc")
    assert (redoc.status_code, redoc.headers["location"]) == (307, f"{prefix}/docs")


@pytest.mark.parametrize(("prefix", "path"), [("/elsewhere", "/elsewhere"), ("/", ""), ("", "")])
def test_the_prefix_is_a_setting(database_url: str, storage_dir: Path, prefix: str, path: str) -> None:
    with running_gateway(database_url, storage_dir, api_url_prefix=prefix) as running:
        assert running.http.get(f"{path}/api/v1/").status_code == 200
        assert running.http.get("/api/v1/").status_code == 200
        assert running.http.get("/conda-store/api/v1/").status_code == 404
        sent = running.admin.post(f"{path}/api/v1/specification?x=1")
        assert sent.headers["location"] == f"{running.address}{path}/api/v1/specification/?x=1"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_write_without_its_slash_is_sent_there_with_its_query(house: RunningGateway, prefix: str) -> None:
    for method, path in (
        ("POST", "specification"),
        ("PUT", "build/1/cancel"),
        ("DELETE", "environment/default/first"),
        ("POST", "token"),
        ("PUT", "setting/default"),
        ("POST", "namespace/team"),
    ):
        reply = house.admin.request(method, f"{prefix}/api/v1/{path}?a=b%2Fc&d=%20")
        assert reply.status_code == 307
        assert reply.headers["location"] == f"{house.address}{prefix}/api/v1/{path}/?a=b%2Fc&d=%20"
    login = house.http.post(f"{prefix}/login?next=/x")
    assert (login.status_code, login.headers["location"]) == (307, f"{house.address}{prefix}/login/?next=/x")


@pytest.mark.parametrize("path", SLASHLESS)
def test_some_addresses_have_no_slash(house: RunningGateway, path: str) -> None:
    method = "PUT" if path.endswith("metadata") else "GET"
    assert house.admin.request(method, f"/api/v1/{path}", json={}).status_code in (200, 422)
    with_slash = house.admin.request(method, f"/api/v1/{path}/", json={})
    assert with_slash.status_code == 307
    assert with_slash.headers["location"] == f"{house.address}/api/v1/{path}"


def test_lockfiles_by_name_have_no_slash(house: RunningGateway) -> None:
    for path in ("build/1/conda-lock.yml", "build/1/conda-lock.yaml", "environment/default/first/conda-lock.yml"):
        reply = house.admin.get(f"/api/v1/{path}")
        assert (reply.status_code, reply.json()["code"]) == (404, "not-found")


def test_errors_have_the_three_forms_of_the_contract(house: RunningGateway) -> None:
    missing = house.admin.get("/api/v1/build/99/")
    assert missing.json() == {"status": "error", "message": "build id does not exist", "code": "not-found"}
    wrong = house.admin.get("/api/v1/build/?page=x")
    (fault,) = wrong.json()["detail"]
    assert (wrong.status_code, fault["type"], fault["loc"], fault["input"]) == (
        422,
        "int_parsing",
        ["query", "page"],
        "x",
    )
    unknown = house.admin.get("/api/v1/nothing/")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
    method = house.admin.patch("/api/v1/build/1/")
    assert (method.status_code, method.json()) == (405, {"detail": "Method Not Allowed"})
    assert method.headers["allow"]


def test_whoever_is_not_known_is_refused_with_403_and_never_401(house: RunningGateway) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic !"},
        {"Cookie": "conda-store-auth=x"},
    ):
        for method, path in (("POST", "token/"), ("GET", "setting/"), ("DELETE", "build/1/"), ("PUT", "build/1/")):
            reply = house.http.request(method, f"/api/v1/{path}", headers=headers)
            assert (reply.status_code, reply.json()["message"]) == (403, "request not authorized"), path


def test_pages_are_capped_and_odd_orders_are_the_usual_one(house: RunningGateway) -> None:
    listed = house.admin.get("/api/v1/build/?size=1000&order=sideways&sort_by=colour").json()
    assert (listed["page"], listed["size"], listed["count"]) == (1, 100, 1)
    assert set(listed) == {"status", "data", "message", "page", "size", "count"}


@pytest.mark.parametrize("origin", ["https://ui.example", "http://localhost:8000", "null"])
def test_any_origin_is_echoed(house: RunningGateway, origin: str) -> None:
    headers: dict[str, str] = {"Origin": origin}
    for path in ("/api/v1/permission/", "/api/v1/build/99/", "/api/v1/build/?page=x", "/nothing", "/openapi.json"):
        reply = house.http.get(path, headers=headers)
        assert reply.headers["access-control-allow-origin"] == origin, path
        assert reply.headers["access-control-allow-credentials"] == "true"
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization,x-anything"}
    allowed = house.http.options("/api/v1/environment/default/first/", headers={**headers, **asked})
    assert allowed.status_code == 200
    assert "DELETE" in allowed.headers["access-control-allow-methods"]
    assert "x-anything" in allowed.headers["access-control-allow-headers"]


def test_what_conda_store_calls_deprecated_says_so(house: RunningGateway) -> None:
    reply = house.http.get("/api/v1/environment/")
    assert (reply.headers["deprecation"], reply.headers["sunset"]) == ("True", "Mon, 17 Mar 2025 00:00:00 UTC")
    described = house.http.get("/openapi.json").json()["paths"]
    assert described["/api/v1/environment/"]["get"]["deprecated"]
    assert described["/api/v1/build/{build_id}/docker/"]["get"]["deprecated"]
    assert "deprecation" not in house.http.get("/api/v2/environment/").headers


def test_metrics_have_conda_stores_lines(house: RunningGateway) -> None:
    text = house.http.get("/metrics").text
    found = dict(re.findall(r"^conda_store_(\w+) (\d+)$", text, re.MULTILINE))
    assert set(found) == {
        "build_queued", "build_building", "build_completed", "build_failed", "build_canceled", "environments",
        "disk_usage",
    }  # fmt: skip
    assert found["environments"] == "1"
    assert sum(int(value) for name, value in found.items() if name.startswith("build_")) == 1
    assert "# HELP condarium_http_requests_total" in text


def test_the_page_of_the_description_needs_nothing_from_elsewhere(house: RunningGateway) -> None:
    page = house.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|@import|url\(", page.text)
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    described = house.http.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        assert f"<code>{path}</code>" in page.text or f'<code class="gone">{path}</code>' in page.text
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text
    for name in described["components"]["schemas"]:
        assert f'id="schema-{name}"' in page.text
