"""Routes, bodies and envelopes of conda-store's contract, to the letter."""

import re
from typing import Any

import pytest

from condarium.domain.artifact import ArtifactType
from condarium.domain.naming import encode_oci
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.served import make_lock

NAIVE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\Z")
BUILD_KEYS = {
    "id",
    "environment_id",
    "specification",
    "packages",
    "status",
    "status_info",
    "size",
    "scheduled_on",
    "started_on",
    "ended_on",
    "build_artifacts",
    "condarium",
}


def ok(reply: Any) -> Any:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert body["status"] == "ok"
    return body


def completed(gateway: RunningGateway, name: str = "first") -> int:
    build_id = gateway.post(name)
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    return build_id


def test_version_permission_namespaces_and_usage(gateway: RunningGateway) -> None:
    assert ok(gateway.http.get("/api/v1/"))["data"]["version"] == "2025.2.2"
    anonymous = ok(gateway.http.get("/api/v1/permission/"))["data"]
    assert anonymous["authenticated"] is False
    assert anonymous["primary_namespace"] == "default"
    assert anonymous["expiration"] is None
    assert anonymous["entity_roles"] == {"default/*": ["viewer"]}
    assert "environment::read" in anonymous["entity_permissions"]["default/*"]
    assert "environment::update" not in anonymous["entity_permissions"]["default/*"]
    admin = ok(gateway.admin.get("/api/v1/permission/"))["data"]
    assert admin["authenticated"] is True
    assert admin["entity_permissions"]["*/*"] == sorted(admin["entity_permissions"]["*/*"])
    assert {"environment::update", "namespace::create"} <= set(admin["entity_permissions"]["*/*"])

    gateway.post("first", namespace="team")
    listed = ok(gateway.admin.get("/api/v1/namespace/"))
    assert set(listed) == {"status", "data", "page", "size", "count"}
    assert listed["data"] == [{"id": 1, "name": "team"}]
    shown = ok(gateway.admin.get("/api/v1/namespace/team/"))["data"]
    assert shown == {"id": 1, "name": "team", "metadata_": {}, "role_mappings": []}
    missing = gateway.admin.get("/api/v1/namespace/nope/")
    assert (missing.status_code, missing.json()["message"]) == (404, "namespace does not exist")
    usage = ok(gateway.admin.get("/api/v1/usage/"))["data"]
    assert {name: usage["team"][name] for name in ("num_environments", "num_builds", "storage")} == {
        "num_environments": 1,
        "num_builds": 1,
        "storage": 0,
    }


def test_until_a_build_has_completed_the_newest_is_shown_as_current(gateway: RunningGateway) -> None:
    """The web UI follows the current build of an environment that it has just made."""

    def shown() -> list[Any]:
        one = ok(gateway.admin.get("/api/v1/environment/default/first/"))["data"]["current_build_id"]
        row, later = (
            ok(gateway.admin.get(f"/api/{version}/environment/?name=first"))["data"][0]["current_build_id"]
            for version in ("v1", "v2")
        )
        return [one, row, later]

    first = gateway.post("first")
    assert shown() == [first] * 3
    second = gateway.post("first")
    assert shown() == [second] * 3
    gateway.solve(first, make_lock("zlib"))
    gateway.complete(first)
    assert shown() == [first] * 3


def test_a_specification_makes_a_build_each_time(gateway: RunningGateway) -> None:
    reply = gateway.admin.post("/api/v1/specification/", json={"specification": "name: a\ndependencies: [zlib]\n"})
    assert reply.json() == {"status": "ok", "data": {"build_id": 1}, "message": None}
    assert gateway.post("a") == 2
    bad = gateway.admin.post("/api/v1/specification/", json={"specification": "name: [a\n"})
    assert bad.status_code == 400
    assert set(bad.json()) == {"status", "message", "code"}
    assert bad.json()["status"] == "error"
    assert "line" in bad.json()["message"]
    lockfile = gateway.admin.post("/api/v1/specification/", json={"specification": "", "is_lockfile": True})
    assert lockfile.status_code == 400


def test_a_build_in_detail_and_in_lists(gateway: RunningGateway) -> None:
    build_id = completed(gateway)
    detail = ok(gateway.http.get(f"/api/v1/build/{build_id}/"))["data"]
    assert set(detail) == BUILD_KEYS
    specification = detail["specification"]
    assert set(specification) == {"id", "name", "spec", "sha256", "created_on"}
    assert specification["spec"]["dependencies"] == ["python", {"pip": ["flask"]}]
    assert specification["spec"]["variables"] == {"A": "b"}
    assert specification["spec"]["prefix"] is None
    assert detail["status"] == "COMPLETED"
    assert detail["build_artifacts"] == []
    for name in ("scheduled_on", "ended_on"):
        assert NAIVE.match(detail[name]), detail[name]
    assert NAIVE.match(specification["created_on"])

    listed = ok(gateway.http.get("/api/v1/build/"))
    assert (listed["page"], listed["size"], listed["count"], listed["message"]) == (1, 100, 1, None)
    row = listed["data"][0]
    assert set(row) == BUILD_KEYS
    assert row["specification"] is row["packages"] is row["build_artifacts"] is None
    assert isinstance(row["size"], int)
    missing = gateway.http.get("/api/v1/build/99/")
    assert missing.status_code == 404
    assert missing.json()["message"] == "build id does not exist"


def test_builds_are_filtered_sorted_and_paged(gateway: RunningGateway) -> None:
    first, second = completed(gateway, "one"), gateway.post("two", namespace="team")
    third = gateway.post("one")

    def ids(query: str) -> list[int]:
        return [row["id"] for row in ok(gateway.admin.get(f"/api/v1/build/?{query}"))["data"]]

    assert ids("") == [first, second, third]
    assert ids("order=desc&sort_by=scheduled_on") == [third, second, first]
    assert ids("order=nonsense&sort_by=nonsense") == [first, second, third]
    assert ids("status=COMPLETED") == [first]
    assert ids("status=QUEUED&namespace=team") == [second]
    assert ids("namespace=default&name=one") == [first, third]
    assert ids("packages=zlib") == [first]
    assert ids("packages=zlib&packages=python") == []
    assert ids("environment_id=2") == [second]
    page = ok(gateway.admin.get("/api/v1/build/?page=2&size=2"))
    assert ([row["id"] for row in page["data"]], page["page"], page["size"], page["count"]) == ([third], 2, 2, 3)
    assert ok(gateway.admin.get("/api/v1/build/?size=1000"))["size"] == 100
    gateway.make(first, ArtifactType.LOCKFILE, b"{}")
    assert ids("artifact=LOCKFILE") == [first]
    deleted = gateway.admin.delete(f"/api/v1/build/{first}/")
    assert deleted.json() == {"status": "ok", "message": None}
    assert ids("") == [first, second, third], "conda-store lists deleted builds too"


def test_an_environment_alone_and_in_lists(gateway: RunningGateway) -> None:
    build_id = completed(gateway)
    space = {"id": 1, "name": "default", "metadata_": {}, "role_mappings": []}
    wanted = {
        "id": 1,
        "namespace": space,
        "name": "first",
        "current_build_id": build_id,
        "current_build": None,
        "description": "",
    }
    assert ok(gateway.http.get("/api/v1/environment/default/first/"))["data"] == wanted
    listed = gateway.http.get("/api/v1/environment/")
    assert ok(listed)["data"] == [wanted]
    assert listed.headers["deprecation"] == "True"
    assert listed.headers["sunset"] == "Mon, 17 Mar 2025 00:00:00 UTC"
    missing = gateway.http.get("/api/v1/environment/default/nope/")
    assert (missing.status_code, missing.json()["message"]) == (404, "environment does not exist")

    gateway.post("second", namespace="team")

    def names(query: str) -> list[str]:
        return [row["name"] for row in ok(gateway.admin.get(f"/api/v1/environment/?{query}"))["data"]]

    assert names("") == ["first", "second"]
    assert names("order=desc") == ["second", "first"]
    assert names("search=") == ["first", "second"]
    assert names("search=SEC") == names("search=eam") == ["second"]
    assert names("search=%25") == []
    assert names("namespace=default") == names("name=first") == ["first"]
    assert names("status=COMPLETED") == names("packages=zlib") == ["first"]
    assert names("artifact=YAML") == []
    assert names("jwt=of-nobody") == ["first"]


def test_rollback_and_description(gateway: RunningGateway) -> None:
    first, second = completed(gateway), completed(gateway)
    waiting, other = gateway.post("first"), completed(gateway, "other")
    one = "/api/v1/environment/default/first/"
    assert ok(gateway.http.get(one))["data"]["current_build_id"] == second
    reply = gateway.admin.put(one, json={"build_id": first})
    assert reply.json() == {"status": "ok", "message": None}
    assert ok(gateway.http.get(one))["data"]["current_build_id"] == first
    ok(gateway.admin.put(one, json={"description": "for you"}))
    assert ok(gateway.http.get(one))["data"]["description"] == "for you"
    for build_id, message in (
        (9999, "build id=9999 does not exist"),
        (10**30, f"build id={10**30} does not exist"),
        (waiting, "cannot update environment to build id since not completed"),
        (other, "cannot update environment to build id since specification does not match environment name"),
    ):
        refused = gateway.admin.put(one, json={"build_id": build_id})
        assert (refused.status_code, refused.json()["message"]) == (400, message)
    refused = gateway.admin.put("/api/v1/environment/default/nope/", json={"build_id": first})
    assert refused.json()["message"] == "environment namespace=default name=nope does not exist"
    assert ok(gateway.http.get(one))["data"]["current_build_id"] == first


def test_deleting_an_environment(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    one = "/api/v1/environment/default/first/"
    assert gateway.admin.delete(one).json() == {"status": "ok", "message": None}
    again = gateway.admin.delete(one)
    assert (again.status_code, again.json()["message"]) == (
        400,
        "environment namespace=default name=first does not exist",
    )
    assert ok(gateway.http.get("/api/v1/environment/"))["data"] == []
    assert ok(gateway.http.get(f"/api/v1/build/{build_id}/"))["data"]["status"] == "CANCELED"


def test_building_again_canceling_retrying_deleting(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    again = gateway.admin.put(f"/api/v1/build/{build_id}/").json()
    assert again == {"status": "ok", "data": {"build_id": build_id + 1}, "message": "rebuild triggered"}
    unfinished = gateway.admin.delete(f"/api/v1/build/{build_id}/")
    assert (unfinished.status_code, unfinished.json()["message"]) == (
        400,
        "cannot delete build since not finished building",
    )
    canceled = gateway.admin.put(f"/api/v1/build/{build_id}/cancel/")
    assert canceled.json() == {"status": "ok", "message": f"build {build_id} canceled"}
    assert ok(gateway.http.get(f"/api/v1/build/{build_id}/"))["data"]["status"] == "CANCELED"
    assert gateway.admin.delete(f"/api/v1/build/{build_id}/").status_code == 400
    ok(gateway.admin.put(f"/api/v1/build/{build_id}/retry/"))
    assert ok(gateway.http.get(f"/api/v1/build/{build_id}/"))["data"]["status"] == "QUEUED"
    assert gateway.admin.put(f"/api/v1/build/{build_id}/retry/").status_code == 409
    done = completed(gateway)
    assert gateway.admin.put(f"/api/v1/build/{done}/cancel/").status_code == 409
    ok(gateway.admin.delete(f"/api/v1/build/{done}/"))
    shown = ok(gateway.http.get("/api/v1/environment/default/first/"))["data"]
    assert shown["current_build_id"] is None


def test_packages_of_a_build(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    assert ok(gateway.http.get(f"/api/v1/build/{build_id}/packages/"))["data"] == []
    gateway.solve(build_id, make_lock("zlib"), make_lock("other", "osx-arm64"))
    listed = ok(gateway.http.get(f"/api/v1/build/{build_id}/packages/?page=1&size=100"))
    assert (listed["size"], listed["count"], listed["page"]) == (100, 1, 1)
    package = listed["data"][0]
    assert set(package) == {"id", "channel", "license", "name", "version", "summary", "condarium"}
    assert package["channel"]["name"] == "https://conda.anaconda.org/conda-forge"
    assert package["channel"]["last_update"] is None
    assert (package["name"], package["version"]) == ("zlib", "1.0")

    def names(query: str) -> list[str]:
        return [row["name"] for row in ok(gateway.http.get(f"/api/v1/build/{build_id}/packages/?{query}"))["data"]]

    assert names("search=li") == names("search=zlib&exact=true") == names("build=0") == ["zlib"]
    assert names("search=li&exact=1") == names("build=py") == []
    assert names("platform=osx-arm64") == ["other"]
    assert names("sort_by=name&order=desc") == ["zlib"]


def test_the_image_has_a_name_once_it_is_there(gateway: RunningGateway) -> None:
    build_id = completed(gateway, "First")
    refused = gateway.http.get(f"/api/v1/build/{build_id}/docker/")
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        f"Build {build_id} doesn't have a docker manifest",
    )
    gateway.make_image(build_id)
    gateway.make(build_id, ArtifactType.LOCKFILE, b"{}")
    shown = gateway.http.get(f"/api/v1/build/{build_id}/docker/")
    assert shown.headers["content-type"].startswith("text/plain")
    assert shown.headers["deprecation"] == "True"
    detail = ok(gateway.http.get(f"/api/v1/build/{build_id}/"))["data"]
    assert shown.text == f"registry.example:5000/default/{encode_oci('First')}:{detail['condarium']['key']}"
    assert [item["artifact_type"] for item in detail["build_artifacts"]] == ["LOCKFILE", "DOCKER_MANIFEST"]
    assert all(set(item) == {"id", "artifact_type", "key"} for item in detail["build_artifacts"])


def test_v2_lists_environments_by_cursor(gateway: RunningGateway) -> None:
    for name, namespace in (("a", "team"), ("b", "default"), ("c", "default")):
        gateway.post(name, namespace=namespace)

    def walk(query: str) -> list[str]:
        names, cursor = [], ""
        while True:
            body = ok(gateway.admin.get("/api/v2/environment/", params=f"{query}&limit=2&cursor={cursor}"))
            assert set(body) == {"data", "status", "message", "cursor", "count"}
            assert body["count"] == 3
            if not body["data"]:
                assert body["cursor"] == "eyJsYXN0X2lkIjpudWxsLCJsYXN0X3ZhbHVlIjpudWxsfQ=="
                return names
            assert "current_build" not in body["data"][0]
            names += [row["name"] for row in body["data"]]
            cursor = body["cursor"].replace("+", "%2B").replace("=", "%3D")

    assert walk("sort_by=name") == ["a", "b", "c"]
    assert walk("sort_by=name&order=desc") == ["c", "b", "a"]
    assert walk("sort_by=namespace,name") == walk("sort_by=namespace&sort_by=name") == ["b", "c", "a"]
    assert walk("") == ["a", "b", "c"]
    refused = gateway.admin.get("/api/v2/environment/?sort_by=bogus")
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        "Cannot sort results by ['bogus']. Valid sort_by values are ['namespace', 'name']",
    )
    assert gateway.admin.get("/api/v2/environment/?order=up").status_code == 422


@pytest.mark.parametrize("prefix", ["", "/conda-store"])
def test_the_first_page_needs_nothing_from_elsewhere(gateway: RunningGateway, prefix: str) -> None:
    page = gateway.http.get(f"{prefix}/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "docker pull registry.example:5000/default/first:latest" in page.text
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    assert f'href="{prefix}/api/v1/build/"' in page.text


def test_cross_origin_requests_are_answered_as_the_ui_needs(gateway: RunningGateway) -> None:
    origin = {"Origin": "https://ui.example"}
    reply = gateway.http.get("/api/v1/permission/", headers=origin)
    assert reply.headers["access-control-allow-origin"] == "https://ui.example"
    assert reply.headers["access-control-allow-credentials"] == "true"
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    preflight = gateway.http.options("/api/v1/build/1/", headers={**origin, **asked})
    assert preflight.status_code == 200
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    failed = gateway.http.get("/api/v1/build/99/", headers=origin)
    assert failed.headers["access-control-allow-origin"] == "https://ui.example"


def test_what_operators_ask(gateway: RunningGateway) -> None:
    assert gateway.http.get("/healthz").json() == {"status": "alive"}
    assert gateway.http.get("/readyz").json() == {"status": "ready", "away": {}}
    text = gateway.http.get("/metrics").text
    assert 'condarium_http_requests_total{method="GET",route="/healthz",status="200"}' in text
