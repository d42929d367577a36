"""Namespaces over REST: made, described, and deleted with all that is in them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from condarium.database import Database, builds, namespaces, outbox
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import patient, wait_for
from tests.fixtures.roles import MEMBER, in_force, make, ok, problem, roles_of


def test_a_namespace_is_made_shown_described_and_deleted(gateway: RunningGateway) -> None:
    http = gateway.admin
    assert http.post("/api/v1/namespace/team/").json() == {"status": "ok", "message": None}
    assert problem(http.post("/api/v1/namespace/team/")) == (409, "namespace already exists")
    shown = ok(http.get("/api/v1/namespace/team/"))
    assert shown == {"id": shown["id"], "name": "team", "metadata_": {}, "role_mappings": []}
    ok(http.put("/api/v1/namespace/team/", json={"metadata": {"a": [1, {"b": None}]}}))
    ok(http.put("/api/v1/namespace/team/", json={"role_mappings": {"team/*": ["viewer", "editor"]}}))
    shown = ok(http.get("/api/v1/namespace/team/"))
    assert shown["metadata_"] == {"a": [1, {"b": None}]}
    assert [(row["entity"], row["role"]) for row in shown["role_mappings"]] == [
        ("team/*", "developer"),
        ("team/*", "viewer"),
    ]
    ok(http.put("/api/v1/namespace/team/metadata", json={"whole": "object", "metadata": "as it is"}))
    assert ok(http.get("/api/v1/namespace/team/"))["metadata_"] == {"whole": "object", "metadata": "as it is"}
    ok(http.put("/api/v1/namespace/team/", json={}))
    assert len(ok(http.get("/api/v1/namespace/team/"))["role_mappings"]) == 2
    ok(http.delete("/api/v1/namespace/team/"))
    for method in ("GET", "DELETE", "PUT"):
        body = {"json": {}} if method == "PUT" else {}
        assert problem(http.request(method, "/api/v1/namespace/team/", **body)) == (404, "namespace does not exist")


@pytest.mark.parametrize(
    "name",
    ["dynamic", "conda-store-dynamic", "envs", "generations", "v2", "DYNAMIC", "-a", "a b", "a" * 65, "a--xb", "*"],
)
def test_a_bad_name_is_refused(gateway: RunningGateway, name: str) -> None:
    status, message = problem(gateway.admin.post(f"/api/v1/namespace/{name}/"))
    assert status == 400
    assert "cannot name the namespace" in message


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("team/", {"role_mappings": {"team": ["viewer"]}}, 400),
        ("team/", {"role_mappings": {"team/*": ["reader"]}}, 400),
        ("team/", {"role_mappings": {"team/*": "viewer"}}, 422),
        ("team/", {"role_mappings": ["team/*"]}, 422),
        ("team/", {"role_mappings": {"te\0am/*": ["viewer"]}}, 422),
        ("team/", {"metadata": "text"}, 422),
        ("team/", {"metadata": {"a": "\0"}}, 400),
        ("team/", {"metadata": {"a": [{"\0": 1}]}}, 400),
        ("team/", {"metadata": {"a": "x" * 70_000}}, 400),
        ("team/", [], 422),
        ("team/metadata", [], 422),
        ("team/metadata", {"a": "\0"}, 400),
        ("nowhere/", {"metadata": {}}, 404),
        ("nowhere/metadata", {}, 404),
    ],
)
def test_bad_descriptions_are_refused(quiet_gateway: RunningGateway, path: str, body: Any, status: int) -> None:
    quiet_gateway.admin.post("/api/v1/namespace/team/")
    assert quiet_gateway.admin.put(f"/api/v1/namespace/{path}", json=body).status_code == status


def test_slashes_are_where_conda_store_has_them(quiet_gateway: RunningGateway) -> None:
    http = quiet_gateway.admin
    http.post("/api/v1/namespace/team/")
    for path in ("roles", "role?other_namespace=team"):
        assert http.get(f"/api/v1/namespace/team/{path}").status_code in (200, 404)
    assert http.get("/api/v1/namespace/team").json()["data"]["name"] == "team"


# -- deletion --------------------------------------------------------------------------------------------------------


def test_all_that_is_inside_goes_with_a_namespace(gateway: RunningGateway) -> None:
    ids = [gateway.post(name, namespace="team") for name in ("a", "b")]
    other = gateway.post("a", namespace="mine")
    ok(gateway.admin.delete("/api/v1/namespace/team/"))
    gateway.publish()
    assert [row["name"] for row in ok(gateway.admin.get("/api/v1/namespace/"))] == ["mine"]
    assert [row["namespace"]["name"] for row in ok(gateway.admin.get("/api/v1/environment/"))] == ["mine"]
    for build_id in ids:
        build = ok(gateway.admin.get(f"/api/v1/build/{build_id}/"))
        assert (build["status"], build["status_info"]) == ("CANCELED", "the namespace was deleted")
        assert build["condarium"]["deleted_on"] is not None
    assert ok(gateway.admin.get(f"/api/v1/build/{other}/"))["status"] == "QUEUED"
    with gateway.database.transaction() as session:
        told = [(event.routing_key, event.environment) for event in outbox.after(session, 0)]
    assert [each for each in told if each[0].startswith("environment.deleted")] == [
        ("environment.deleted.v1", "a"),
        ("environment.deleted.v1", "b"),
    ]
    # The name is free, and nothing of before is in it.
    again = gateway.post("a", namespace="team")
    assert ok(gateway.admin.get(f"/api/v1/build/{again}/"))["condarium"]["generation"] == 1


def test_a_submission_while_the_namespace_is_deleted_is_not_lost_in_it(database_url: str) -> None:
    """It waits for the deletion, and makes the namespace anew."""
    database = Database(database_url)
    found: list[int] = []
    with database.transaction() as session:
        first = namespaces.ensure(session, "team", actor="t").id

    def submit() -> None:
        with database.transaction() as session:
            found.append(namespaces.ensure(session, "team", actor="t").id)

    thread = threading.Thread(target=submit)
    with database.transaction() as session:
        namespaces.delete(session, namespaces.load(session, "team", lock=True), actor="t")
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it did not wait"
    thread.join(patient(10))
    database.close()
    assert found
    assert found[0] != first


@pytest.mark.parametrize("path", ["namespace/team/", "environment/team/first/"])
def test_a_deletion_and_a_builder_wait_for_each_other_in_one_order(gateway: RunningGateway, path: str) -> None:
    """Postgres looks at what a row refers to when one transaction changes it twice, as builders do."""
    build_id = gateway.post("first", namespace="team")
    with ThreadPoolExecutor(1) as pool:
        with gateway.database.transaction() as session:
            build = builds.load(session, build_id, lock=True)
            deleted = pool.submit(gateway.admin.delete, f"/api/v1/{path}")
            wait_for(lambda: waits_for_a_row(gateway))
            for words in ("once", "twice"):
                build.status_info = words
                session.flush()
        assert deleted.result(patient(10)).status_code == 200


def waits_for_a_row(gateway: RunningGateway) -> bool:
    query = text("select count(*) from pg_locks where not granted and locktype = 'transactionid'")
    with gateway.database.transaction() as session:
        return bool(session.execute(query).scalar_one())


def test_who_makes_a_name_anew_inherits_no_roles(gateway: RunningGateway) -> None:
    make(gateway, "team", "mine")
    http = gateway.admin
    ok(http.put("/api/v1/namespace/mine/", json={"role_mappings": {"team/*": ["viewer"]}}))
    ok(http.post("/api/v1/namespace/team/role", json={"other_namespace": "mine", "role": "admin"}))
    ok(http.post("/api/v1/namespace/mine/role", json={"other_namespace": "team", "role": "admin"}))
    in_force(lambda: roles_of(gateway, MEMBER).get("team/*") == ["admin", "viewer"])
    ok(http.delete("/api/v1/namespace/mine/"))
    in_force(lambda: "team/*" not in roles_of(gateway, MEMBER))
    make(gateway, "mine")
    time.sleep(0.2)
    assert "team/*" not in roles_of(gateway, MEMBER)
    assert ok(http.get("/api/v1/namespace/mine/"))["role_mappings"] == []
    assert ok(http.get("/api/v1/namespace/team/roles")) == []
