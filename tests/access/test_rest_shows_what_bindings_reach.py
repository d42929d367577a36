"""What is told, listed and streamed is what the caller's bindings reach, and no more."""

import httpx

from tests.fixtures.gateway import SPECIFICATION, RunningGateway, token_of
from tests.fixtures.patience import CLIENT_SECONDS
from tests.fixtures.roles import MEMBER, PART, STRANGER, in_force, make, ok, problem, roles_of


def test_permissions_are_told_by_the_arns_that_were_bound(quiet_gateway: RunningGateway) -> None:
    told = ok(quiet_gateway.admin.get("/api/v1/permission/"))
    assert told["authenticated"] is True
    assert told["primary_namespace"] == "default"
    assert told["entity_roles"] == {"*/*": ["admin"], "default/*": ["viewer"]}
    assert "system::operate" in told["entity_permissions"]["*/*"]
    # An exact key is read by clients that know no wildcards: it tells all that holds there.
    assert {"environment::update", "namespace::create"} <= set(told["entity_permissions"]["default/*"])
    part = ok(quiet_gateway.http.get("/api/v1/permission/", headers=PART))
    assert part["entity_roles"] == {"default/*": ["viewer"], "team/ml-*": ["developer"]}
    assert "environment::create" in part["entity_permissions"]["team/ml-*"]
    assert part["entity_permissions"]["team/ml-*"] == sorted(part["entity_permissions"]["team/ml-*"])
    nobody = ok(quiet_gateway.http.get("/api/v1/permission/"))
    assert (nobody["authenticated"], nobody["expiration"]) == (False, None)
    assert nobody["entity_roles"] == {"default/*": ["viewer"]}


def test_lists_show_what_bindings_reach(gateway: RunningGateway) -> None:
    for namespace, name in (
        ("team", "ml-1"),
        ("team", "ml_1"),
        ("team", "web"),
        ("other", "ml-1"),
        ("default", "open"),
    ):
        gateway.post(name, namespace=namespace)

    def lists(headers: dict[str, str], **query: str) -> tuple[list[str], list[str], list[str], list[str]]:
        get = lambda path: gateway.http.get(path, params=query, headers=headers).json()  # noqa: E731
        rows = get("/api/v1/environment/")
        assert rows["count"] == len(rows["data"]) == get("/api/v2/environment/")["count"]
        found = [f"{row['namespace']['name']}/{row['name']}" for row in rows["data"]]
        built = [
            f"{row['condarium']['namespace']}/{row['condarium']['environment']}"
            for row in get("/api/v1/build/")["data"]
        ]
        spaces = [row["name"] for row in get("/api/v1/namespace/")["data"]]
        return found, sorted(built), spaces, sorted(get("/api/v1/usage/")["data"])

    all_of_team = ["team/ml-1", "team/ml_1", "team/web"]
    assert lists(PART) == (
        ["default/open", "team/ml-1"], ["default/open", "team/ml-1"], ["default", "team"], ["default"]
    )  # fmt: skip
    assert lists(token_of("viewer"))[0] == ["default/open", *all_of_team]
    assert lists(token_of("viewer"))[3] == ["default", "team"]
    assert lists(STRANGER) == (
        ["default/open", "other/ml-1"], ["default/open", "other/ml-1"], ["default", "other"], ["default", "other"]
    )  # fmt: skip
    assert lists({}) == (["default/open"], ["default/open"], ["default"], ["default"])
    for version in ("v1", "v2"):
        reply = gateway.http.get(
            f"/api/{version}/environment/", params={"jwt": "part-token"}, headers=token_of("viewer")
        )
        assert sorted(row["name"] for row in reply.json()["data"]) == ["ml-1", "open"]
        reply = gateway.http.get(f"/api/{version}/environment/", params={"jwt": "stranger-token"}, headers=PART)
        assert [row["name"] for row in reply.json()["data"]] == ["open"]
        reply = gateway.admin.get(f"/api/{version}/environment/", params={"jwt": "no token"})
        assert [row["name"] for row in reply.json()["data"]] == ["open"]


def test_without_a_namespace_a_submission_goes_to_ones_own(gateway: RunningGateway) -> None:
    body = {"specification": SPECIFICATION.format("first")}
    made = ok(gateway.http.post("/api/v1/specification/", json=body, headers=MEMBER))
    assert ok(gateway.admin.get(f"/api/v1/build/{made['build_id']}/"))["condarium"]["namespace"] == "mine"
    # Making the namespace needs more than making an environment.
    editor = token_of("editor")
    more = {**body, "namespace": "team"}
    assert gateway.http.post("/api/v1/specification/", json=more, headers=editor).status_code == 403
    make(gateway, "team")
    ok(gateway.http.post("/api/v1/specification/", json=more, headers=editor))
    assert gateway.http.post("/api/v1/specification/", json=body, headers=editor).status_code == 403


def test_an_admin_of_one_namespace_knows_nothing_of_another(gateway: RunningGateway) -> None:
    build_id = gateway.post("web", namespace="team")
    gateway.post("open")
    gateway.publish()
    for path in ("namespace/team/", "namespace/team/roles", "environment/team/web/", f"build/{build_id}/"):
        assert problem(gateway.http.get(f"/api/v1/{path}", headers=STRANGER)) == (403, "request not authorized")
    for path in ("namespace/", "environment/", "build/", "usage/"):
        assert "team" not in gateway.http.get(f"/api/v1/{path}", headers=STRANGER).text
    assert problem(gateway.http.delete("/api/v1/namespace/team/", headers=STRANGER))[0] == 403
    assert problem(gateway.http.delete("/api/v1/namespace/team/", headers=PART))[0] == 403
    shown = ok(gateway.http.get("/api/v1/namespace/team/", headers=PART))
    assert shown["role_mappings"] == []


def test_a_stream_ends_when_the_role_does(gateway: RunningGateway) -> None:
    make(gateway, "team", "mine")
    ok(gateway.admin.post("/api/v1/namespace/team/role", json={"other_namespace": "mine", "role": "viewer"}))
    in_force(lambda: "team/*" in roles_of(gateway, MEMBER))
    seen: list[str] = []
    with (
        httpx.Client(base_url=gateway.address, timeout=CLIENT_SECONDS) as http,
        http.stream("GET", "/api/v1/events/", headers=MEMBER) as stream,
    ):
        lines = stream.iter_lines()
        while "event: live" not in next(lines):
            pass
        gateway.post("before", namespace="team")
        gateway.publish()
        while not seen or "before" not in seen[-1]:
            seen.append(next(lines))
        ok(gateway.admin.delete("/api/v1/namespace/team/roles"))
        in_force(lambda: "team/*" not in roles_of(gateway, MEMBER))
        gateway.post("unseen", namespace="team")
        gateway.post("open", namespace="mine")
        gateway.publish()
        while "mine/open" not in seen[-1]:
            seen.append(next(lines))
    assert not any("unseen" in line for line in seen)
