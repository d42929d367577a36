"""Roles that namespaces give: who may give them, to whom, and when they are in force."""

import threading
from typing import Any

import pytest

from condarium.http import authenticator
from tests.fixtures.gateway import RunningGateway, token_of
from tests.fixtures.roles import MEMBER, OWNER, PART, STRANGER, in_force, make, ok, problem, roles_of

# -- the roles of its own members ------------------------------------------------------------------------------------


def test_members_have_the_roles_that_their_namespace_gives(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A principal would be believed for so long: it is the notification that puts roles in force.
    monkeypatch.setattr(authenticator, "BELIEVED_SECONDS", 3600.0)
    make(gateway, "mine")
    hidden = gateway.post("web", namespace="team")
    build = f"/api/v1/build/{hidden}/"
    assert gateway.http.get(build, headers=MEMBER).status_code == 403
    ok(gateway.admin.put("/api/v1/namespace/mine/", json={"role_mappings": {"team/w*": ["viewer"]}}))
    in_force(lambda: gateway.http.get(build, headers=MEMBER).status_code == 200)
    assert roles_of(gateway, MEMBER) == {"default/*": ["viewer"], "mine/*": ["admin"], "team/w*": ["viewer"]}
    assert gateway.http.get(build, headers=STRANGER).status_code == 403
    ok(gateway.admin.put("/api/v1/namespace/mine/", json={"role_mappings": {}}))
    in_force(lambda: gateway.http.get(build, headers=MEMBER).status_code == 403)


def test_nobody_maps_more_than_they_have(gateway: RunningGateway) -> None:
    make(gateway, "team")
    path = "/api/v1/namespace/team/"
    put = lambda mappings, who=OWNER: gateway.http.put(path, json={"role_mappings": mappings}, headers=who)  # noqa: E731
    for mapping in ({"*/*": ["viewer"]}, {"other/*": ["viewer"]}, {"t*/*": ["admin"]}, {"*/*": ["admin"]}):
        status, message = problem(put(mapping))
        arn = next(iter(mapping))
        assert (status, message) == (403, f"you cannot give what you do not have yourself: {mapping[arn][0]} on {arn}")
    ok(put({"team/ml-*": ["admin"], "default/*": ["viewer"]}))
    # What somebody else gave may stay, and may go.
    ok(gateway.admin.put(path, json={"role_mappings": {"*/*": ["viewer"], "team/*": ["viewer"]}}))
    ok(put({"*/*": ["viewer"], "team/*": ["admin"]}))
    assert put({"*/*": ["admin"]}).status_code == 403
    ok(put({"team/*": ["admin"]}))
    assert put({"*/*": ["viewer"]}).status_code == 403
    for who in (STRANGER, PART, token_of("editor"), {}):
        assert put({}, who).status_code == 403


def test_the_last_of_two_replacements_stands_whole(gateway: RunningGateway) -> None:
    make(gateway, "team")
    bodies = [{f"team/{who}{number}": ["viewer"] for number in range(20)} for who in "abcd"]
    failed: list[str] = []

    def put(body: dict[str, Any]) -> None:
        for _ in range(5):
            reply = gateway.admin.put("/api/v1/namespace/team/", json={"role_mappings": body})
            if reply.status_code != 200:
                failed.append(reply.text)

    threads = [threading.Thread(target=put, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    found = {row["entity"] for row in ok(gateway.admin.get("/api/v1/namespace/team/"))["role_mappings"]}
    assert found in [set(body) for body in bodies]


# -- the roles of others' members ------------------------------------------------------------------------------------


def test_roles_for_the_members_of_another_namespace(gateway: RunningGateway) -> None:
    make(gateway, "team", "mine")
    role, roles = "/api/v1/namespace/team/role", "/api/v1/namespace/team/roles"
    http = gateway.admin
    query, body = {"params": {"other_namespace": "mine"}}, {"other_namespace": "mine"}
    assert problem(http.get(role, **query)) == (404, "failed to find role")
    assert problem(http.put(role, json={**body, "role": "viewer"})) == (404, "failed to find role")
    ok(http.post(role, json={**body, "role": "editor"}))
    shown = ok(http.get(role, **query))
    assert shown == {"id": shown["id"], "namespace": "team", "other_namespace": "mine", "role": "developer"}
    assert ok(http.get(roles)) == [shown]
    status, message = problem(http.post(role, json={**body, "role": "viewer"}))
    assert (status, message) == (409, "mine has a role in team already; PUT changes it")
    in_force(lambda: roles_of(gateway, MEMBER).get("team/*") == ["developer"])
    ok(http.put(role, json={**body, "role": "viewer"}))
    assert ok(http.get(roles)) == [{**shown, "role": "viewer"}]
    in_force(lambda: roles_of(gateway, MEMBER).get("team/*") == ["viewer"])
    for _ in range(2):
        ok(http.request("DELETE", role, json=body))
    assert ok(http.get(roles)) == []
    ok(http.post(role, json={**body, "role": "admin"}))
    ok(http.delete(roles))
    assert ok(http.get(roles)) == []
    in_force(lambda: "team/*" not in roles_of(gateway, MEMBER))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_namespace_that_is_not_there_is_named(quiet_gateway: RunningGateway, method: str) -> None:
    http = quiet_gateway.admin
    http.post("/api/v1/namespace/team/")
    more: dict[str, Any] = (
        {"params": {"other_namespace": "x"}}
        if method == "GET"
        else {"json": {"other_namespace": "x", "role": "viewer"}}
    )
    assert problem(http.request(method, "/api/v1/namespace/team/role", **more)) == (400, "Namespace='x' not found")
    found = problem(http.request(method, "/api/v1/namespace/nowhere/role", **more))
    assert found == (404, "namespace does not exist")
    if method in ("GET", "DELETE"):
        assert problem(http.request(method, "/api/v1/namespace/nowhere/roles"))[0] == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"other_namespace": "team", "role": "boss"}, 400),
        ({"other_namespace": "team", "role": ""}, 400),
        ({"other_namespace": "team"}, 422),
        ({"role": "viewer"}, 422),
        ({"other_namespace": ["team"], "role": "viewer"}, 422),
        ({"other_namespace": "te\0am", "role": "viewer"}, 422),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_bad_role_is_refused(quiet_gateway: RunningGateway, method: str, body: Any, status: int) -> None:
    quiet_gateway.admin.post("/api/v1/namespace/team/")
    assert quiet_gateway.admin.request(method, "/api/v1/namespace/team/role", json=body).status_code == status


def test_of_two_that_make_the_same_at_once_one_does(gateway: RunningGateway) -> None:
    make(gateway, "team", "mine")
    codes: list[int] = []

    def post(path: str, body: Any) -> None:
        codes.append(gateway.admin.post(path, json=body).status_code)

    for path, body in (
        ("/api/v1/namespace/team/role", {"other_namespace": "mine", "role": "viewer"}),
        ("/api/v1/namespace/new/", None),
    ):
        codes.clear()
        threads = [threading.Thread(target=post, args=(path, body)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [200, 409, 409, 409, 409, 409]
