"""Who sees and does what: anonymous reads `default`, the administrator does all; every kind of credential."""

import base64
from typing import Any

import pytest

from tests.fixtures.gateway import SPECIFICATION, TOKEN, RunningGateway


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def authenticated(gateway: RunningGateway, headers: dict[str, str]) -> bool:
    reply = gateway.http.get("/api/v1/permission/", headers=headers)
    assert reply.status_code == 200
    return bool(reply.json()["data"]["authenticated"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
        {"Authorization": basic("anybody", TOKEN)},
        {"Cookie": f"other=1; conda-store-auth={TOKEN}"},
        {"Cookie": "conda-store-auth=stale", "Authorization": f"Bearer {TOKEN}"},
    ],
)
def test_each_kind_of_credential_is_taken(quiet_gateway: RunningGateway, headers: dict[str, str]) -> None:
    assert authenticated(quiet_gateway, headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
        {"Authorization": "Digest x"},
        {"Authorization": f"Bearer {TOKEN} more"},
        {"Cookie": "conda-store-auth"},
        {"Cookie": "conda-store-auth=;;;=="},
        {"Cookie": 'conda-store-auth="\\777"'},
    ],
)
def test_a_wrong_or_malformed_credential_is_anonymous(quiet_gateway: RunningGateway, headers: dict[str, str]) -> None:
    assert not authenticated(quiet_gateway, headers)


def test_bytes_that_are_no_text_in_a_header_are_anonymous(quiet_gateway: RunningGateway) -> None:
    reply = quiet_gateway.http.get("/api/v1/permission/", headers=[(b"authorization", b"Bearer \xff\xe9\x80")])
    assert reply.json()["data"]["authenticated"] is False


def refused(reply: Any) -> bool:
    return reply.status_code == 403 and reply.json() == {
        "status": "error",
        "message": "request not authorized",
        "code": "not-authorized",
    }


def test_anonymous_reads_default_and_nothing_else(gateway: RunningGateway) -> None:
    public, hidden = gateway.post("open"), gateway.post("shut", namespace="team")
    http = gateway.http
    assert [row["id"] for row in http.get("/api/v1/build/").json()["data"]] == [public]
    assert http.get("/api/v1/build/").json()["count"] == 1
    assert [row["name"] for row in http.get("/api/v1/environment/").json()["data"]] == ["open"]
    assert [row["name"] for row in http.get("/api/v2/environment/").json()["data"]] == ["open"]
    assert [row["name"] for row in http.get("/api/v1/namespace/").json()["data"]] == ["default"]
    assert list(http.get("/api/v1/usage/").json()["data"]) == ["default"]
    assert http.get(f"/api/v1/build/{public}/").status_code == 200
    for path in ("", "packages/", "logs/", "yaml/", "lockfile/", "archive/", "docker/", "installer/", "artifact/"):
        assert refused(http.get(f"/api/v1/build/{hidden}/{path}")), path
    for path in ("events/", "logs/stream/"):
        assert refused(http.get(f"/api/v1/build/{hidden}/{path}")), path
    assert refused(http.get("/api/v1/events/?namespace=team"))
    assert refused(http.get("/api/v1/namespace/team/"))
    assert refused(http.get("/api/v1/environment/team/shut/"))
    assert refused(http.get("/storage/logs/x.log"))


def test_anonymous_changes_nothing(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    http = gateway.http
    body = {"specification": SPECIFICATION.format("mine")}
    assert refused(http.post("/api/v1/specification/", json=body))
    assert refused(http.post("/api/v1/specification/", json={**body, "namespace": "mine"}))
    for method, path in (
        ("PUT", f"/api/v1/build/{build_id}/"),
        ("PUT", f"/api/v1/build/{build_id}/cancel/"),
        ("PUT", f"/api/v1/build/{build_id}/retry/"),
        ("DELETE", f"/api/v1/build/{build_id}/"),
        ("POST", f"/api/v1/build/{build_id}/artifact/YAML/"),
        ("DELETE", "/api/v1/environment/default/first/"),
    ):
        assert refused(http.request(method, path)), path
    assert refused(http.put("/api/v1/environment/default/first/", json={"build_id": build_id}))
    rows = http.get("/api/v1/build/").json()["data"]
    assert [(row["id"], row["status"]) for row in rows] == [(build_id, "QUEUED")]
    assert [row["name"] for row in gateway.admin.get("/api/v1/namespace/").json()["data"]] == ["default"]


def test_environments_are_authorised_first_and_builds_looked_up_first(quiet_gateway: RunningGateway) -> None:
    assert refused(quiet_gateway.http.get("/api/v1/environment/nowhere/nothing/"))
    assert refused(quiet_gateway.http.get("/api/v1/namespace/nowhere/"))
    assert refused(quiet_gateway.http.delete("/api/v1/environment/default/nothing/"))
    assert quiet_gateway.http.put("/api/v1/build/4711/cancel/").status_code == 404


def test_no_secret_is_in_a_reply_or_a_page(gateway: RunningGateway) -> None:
    gateway.post()
    for path in ("/", "/api/v1/build/1/", "/api/v1/environment/", "/metrics", "/readyz", "/api/v1/permission/"):
        text = gateway.admin.get(path).text
        assert TOKEN not in text
        assert "s3cret" not in text
