"""What is done on the pages of /admin/: as by REST, in the audit log as by REST; what is wrong is said in its place."""

import json
import re
from typing import Any

import httpx
import pytest

from condarium.database import builds
from condarium.domain.build import Status
from tests.fixtures.gateway import TOKEN, RunningGateway, token_of
from tests.fixtures.served import make_lock

#: what no name may do to a page
HOSTILE = "<script>alert('x')</script>\"'&"


def post(gateway: RunningGateway, path: str, who: str = "", **form: str) -> httpx.Response:
    headers = token_of(who) if who else dict(gateway.admin.headers)
    return gateway.http.post(f"/conda-store/admin/{path}", data=form or {"nothing": ""}, headers=headers)


def done(reply: httpx.Response) -> str:
    """Where a page sends to after a deed."""
    assert reply.status_code == 303, reply.text
    return reply.headers["location"].removeprefix("/conda-store/admin/")


def refused(reply: httpx.Response, status: int, sentence: str) -> str:
    assert reply.status_code == status, reply.text
    alerts = re.findall(r'role="alert"[^>]*>(.*?)</p>', reply.text)
    assert len(alerts) == 1
    assert sentence in alerts[0]
    return reply.text


def deeds(gateway: RunningGateway) -> list[dict[str, Any]]:
    """The audit log from its beginning, without times and numbers that differ."""
    rows = gateway.admin.get("/api/v1/audit/", params={"limit": 1000}).json()["data"]
    kept = ("principal", "action", "resource", "outcome", "address", "details")
    return [{name: row[name] for name in kept} for row in reversed(rows) if row["outcome"] == "done"]


#: page, form; method, route of REST, body
SAME: list[tuple[str, dict[str, str], str, str, Any]] = [
    ("builds/{running}/cancel/", {}, "PUT", "build/{running}/cancel/", None),
    ("builds/{failed}/retry/", {}, "PUT", "build/{failed}/retry/", None),
    ("builds/{done}/rebuild/", {}, "PUT", "build/{done}/", None),
    ("builds/{broken}/delete/", {}, "DELETE", "build/{broken}/", None),
    ("environments/{ns}/first/", {"build_id": "{done}"}, "PUT", "environment/{ns}/first/", {"build_id": "{done}"}),
    ("namespaces/", {"name": "{ns}-new"}, "POST", "namespace/{ns}-new/", None),
    (
        "namespaces/{ns}/mappings/",
        {"do": "add", "entity": "{ns}/*", "role": "viewer"},
        "PUT",
        "namespace/{ns}/",
        {"role_mappings": {"{ns}/*": ["viewer"]}},
    ),
    (
        "namespaces/{ns}/roles/",
        {"do": "give", "other_namespace": "default", "role": "viewer"},
        "POST",
        "namespace/{ns}/role",
        {"other_namespace": "default", "role": "viewer"},
    ),
    (
        "namespaces/{ns}/roles/",
        {"do": "change", "other_namespace": "default", "role": "admin"},
        "PUT",
        "namespace/{ns}/role",
        {"other_namespace": "default", "role": "admin"},
    ),
    (
        "namespaces/{ns}/roles/",
        {"do": "take", "other_namespace": "default", "role": "admin"},
        "DELETE",
        "namespace/{ns}/role",
        {"other_namespace": "default"},
    ),
    (
        "settings/{ns}/",
        {"key": "conda_default_channels", "do": "set", "value": "conda-forge\nbioconda"},
        "PUT",
        "setting/{ns}/",
        {"conda_default_channels": ["conda-forge", "bioconda"]},
    ),
    (
        "settings/{ns}/",
        {"key": "conda_default_channels", "do": "unset"},
        "PUT",
        "setting/{ns}/",
        {"conda_default_channels": None},
    ),
    ("usage/{ns}/", {"builds": "40"}, "PUT", "namespace/{ns}/quota", {"builds": 40}),
    ("environments/{ns}/first/delete/", {}, "DELETE", "environment/{ns}/first/", None),
    ("namespaces/{ns}-new/delete/", {}, "DELETE", "namespace/{ns}-new/", None),
]


def prepare(gateway: RunningGateway, namespace: str) -> dict[str, str]:
    """Builds of one namespace, by how they stand."""
    found = {}
    for name in ("done", "failed", "broken", "running"):
        found[name] = gateway.submit("first", namespace=namespace, package=f"{name}-1").build_id
    gateway.solve(found["done"], make_lock("zlib"))
    gateway.complete(found["done"])
    for name in ("failed", "broken", "running"):
        with gateway.database.transaction() as session:
            builds.move(session, builds.load(session, found[name], lock=True), Status.BUILDING)
        if name != "running":
            gateway.fail(found[name], "no such package")
    return {"ns": namespace, **{name: str(number) for name, number in found.items()}}


def filled(content: Any, values: dict[str, str]) -> Any:
    text = json.dumps(content)
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


def test_each_deed_is_the_one_of_rest_and_leaves_the_same_row(gateway: RunningGateway) -> None:
    by_page, by_rest = prepare(gateway, "page"), prepare(gateway, "rest")
    gateway.submit("other")
    for page, form, method, route, body in SAME:
        before = len(deeds(gateway))
        done(post(gateway, filled(page, by_page), **filled(form, by_page)))
        path = filled(f"/api/v1/{route}", by_rest)
        reply = gateway.admin.request(method, path, json=filled(body, by_rest))
        assert reply.status_code == 200, (path, reply.text)
        first, second = deeds(gateway)[before:]
        assert _alike(first) == _alike(second), page
    stands = [gateway.admin.get(f"/api/v1/build/?namespace={name}").json() for name in ("page", "rest")]
    assert _states(stands[0]) == _states(stands[1])


def _alike(row: dict[str, Any]) -> Any:
    text = json.dumps({**row, "details": {k: v for k, v in row["details"].items() if k != "build_id"}})
    assert ("build_id" in row["details"]) == (row["details"]["operation"] in BUILDS), row
    return text.replace("page", "rest")


BUILDS = ("cancel_build", "retry_build", "build_again", "delete_build")


def _states(content: Any) -> list[tuple[str, bool]]:
    return [(row["status"], row["condarium"]["deleted_on"] is None) for row in content["data"]]


def test_a_token_is_shown_once_and_revoked(gateway: RunningGateway) -> None:
    gateway.submit("first", namespace="team")
    form = {
        "name": HOSTILE,
        "role_bindings": "team/*: viewer, viewer\n\nteam/x: editor",
        "expiration": "2999-01-01T00:00",
    }
    text = refused(post(gateway, "tokens/", **form), 400, "expir")
    assert HOSTILE not in text
    assert 'value="2999-01-01T00:00"' in text
    reply = post(gateway, "tokens/", **{**form, "expiration": ""})
    assert reply.status_code == 200
    assert HOSTILE not in reply.text
    made = re.search(r"<textarea[^>]*readonly>([^<]+)</textarea>", reply.text)
    assert made is not None
    assert reply.headers["cache-control"] == "no-store"
    shown = gateway.admin.get("/admin/tokens/")
    assert made[1] not in shown.text
    assert "&lt;script&gt;" in shown.text
    own = {"Authorization": f"Bearer {made[1]}"}
    assert gateway.http.get("/api/v1/namespace/team/", headers=own).status_code == 200
    assert deeds(gateway)[-1]["details"]["operation"] == "create_token"
    # It lists itself, and may end itself.
    assert "this one" in gateway.http.get("/admin/tokens/", headers=own).text
    assert gateway.http.post("/admin/tokens/1/revoke/", headers=own).status_code == 303
    assert gateway.http.get("/admin/", headers=own).status_code == 303
    assert deeds(gateway)[-1]["details"]["operation"] == "revoke_token"


WRONG: list[tuple[str, dict[str, str], int, str]] = [
    ("builds/1/delete/", {}, 400, "not finished building"),
    ("builds/1/retry/", {}, 409, "only a failed or canceled build"),
    ("builds/77/cancel/", {}, 404, "build id does not exist"),
    ("builds/x/cancel/", {}, 422, "valid integer"),
    ("environments/team/first/", {"build_id": "1"}, 400, "not completed"),
    ("environments/team/first/", {"build_id": HOSTILE}, 422, "valid integer"),
    ("environments/team/none/", {"build_id": "1"}, 400, "does not exist"),
    ("environments/team/none/delete/", {}, 400, "does not exist"),
    ("namespaces/", {"name": HOSTILE}, 400, "cannot name the namespace"),
    ("namespaces/", {"name": ""}, 422, "needs a name"),
    ("namespaces/", {"name": "team"}, 409, "already exists"),
    ("namespaces/team/mappings/", {"do": "add", "entity": HOSTILE, "role": "viewer"}, 400, ""),
    ("namespaces/team/mappings/", {"do": "add", "entity": "team/*", "role": HOSTILE}, 400, "is no role"),
    ("namespaces/team/mappings/", {"do": "add", "entity": ""}, 422, "say on what"),
    ("namespaces/team/mappings/", {"do": HOSTILE, "entity": "x"}, 400, "add or remove"),
    ("namespaces/team/roles/", {"do": "give", "other_namespace": "nowhere", "role": "viewer"}, 400, "not found"),
    ("namespaces/team/roles/", {"do": "give", "other_namespace": "", "role": "viewer"}, 422, "to whose members"),
    ("namespaces/team/roles/", {"do": "what", "other_namespace": "x"}, 400, "give, change or take"),
    ("namespaces/nowhere/delete/", {}, 404, "namespace does not exist"),
    ("tokens/", {"role_bindings": HOSTILE}, 422, "is no line such as"),
    ("tokens/", {"name": "n" * 101}, 422, "at most 100"),
    ("tokens/", {"expiration": "soon"}, 422, "datetime"),
    ("tokens/99/revoke/", {}, 404, "token"),
    ("settings/", {"key": "nope", "do": "set", "value": "1"}, 400, "no setting of that name"),
    ("settings/", {"key": "conda_max_solve_time", "do": "set", "value": HOSTILE}, 400, "conda_max_solve_time"),
    ("settings/", {"key": "conda_max_solve_time", "do": "set", "value": ""}, 422, "type a value"),
    ("settings/", {"key": "conda_max_solve_time", "do": "set", "value": "NaN"}, 400, "conda_max_solve_time"),
    ("settings/", {"key": "default_uid", "do": "set", "value": "0"}, 400, "default_uid"),
    ("settings/", {"key": "conda_command", "do": "keep"}, 400, "set or unset"),
    ("settings/team/first/", {"key": "virtual_packages", "do": "set", "value": "{"}, 422, "no JSON"),
    ("settings/team/first/", {"key": "virtual_packages", "do": "set", "value": "[" * 50_000}, 422, "no JSON"),
    ("settings/nowhere/", {"key": "conda_command", "do": "unset"}, 404, "namespace does not exist"),
    ("usage/team/", {"builds": "-3"}, 422, "greater than or equal to 0"),
    ("usage/team/", {"bytes": "9" * 30}, 422, "integer"),
    ("usage/nowhere/", {"builds": "3"}, 404, "namespace does not exist"),
    ("namespaces/", {"name": "a\0b"}, 422, "U+0000"),
]


def test_what_is_wrong_is_said_in_its_place_and_changes_nothing(gateway: RunningGateway) -> None:
    gateway.submit("first", namespace="team")
    before = deeds(gateway)
    for path, form, status, sentence in WRONG:
        reply = post(gateway, path, **form)
        text = refused(reply, status, sentence)
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert HOSTILE not in text, path
        assert "Traceback" not in text
    assert deeds(gateway) == before
    # What was typed is still there, beside its sentence.
    text = post(gateway, "namespaces/team/mappings/", do="add", entity="team/<x>*", role="developer").text
    assert 'value="team/&lt;x&gt;*"' in text
    assert "<option selected>developer</option>" in text
    text = post(gateway, "usage/team/", builds="many", bytes="5").text
    assert re.search(r'name="builds"[^>]*value="many" aria-invalid="true" aria-describedby="builds-fault"', text)
    assert 'id="builds-fault">Input should be a valid integer' in text
    assert re.search(r'name="bytes"[^>]*value="5"', text)


def test_what_is_no_form_is_refused(gateway: RunningGateway) -> None:
    for body, kind, status in (
        (b'{"name": "x"}', "application/json", 400),
        (b"name=%ff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % number for number in range(200)), "application/x-www-form-urlencoded", 400),
        (b"name=" + b"x" * 300_000, "application/x-www-form-urlencoded", 413),
        (b"", "text/plain", 422),
    ):
        reply = gateway.admin.post("/admin/namespaces/", content=body, headers={"content-type": kind})
        assert (reply.status_code, reply.headers["content-type"]) == (status, "text/html; charset=utf-8")


def test_roles_decide_what_is_done(gateway: RunningGateway) -> None:
    gateway.submit("first", namespace="team")
    gateway.submit("secret", namespace="other")
    refused(post(gateway, "builds/1/cancel/", "viewer"), 403, "request not authorized")
    refused(post(gateway, "builds/2/cancel/", "owner"), 403, "request not authorized")
    refused(post(gateway, "namespaces/", "owner", name="mine-now"), 403, "request not authorized")
    refused(post(gateway, "settings/", "owner", key="conda_command", do="set", value="x"), 403, "not authorized")
    refused(post(gateway, "usage/team/", "owner", builds="9"), 403, "request not authorized")
    more = {"do": "add", "entity": "other/*", "role": "admin"}
    refused(post(gateway, "namespaces/team/mappings/", "owner", **more), 403, "cannot give what you do not have")
    refused(post(gateway, "tokens/", "viewer", role_bindings="team/*: admin"), 400, "not a subset")
    done(post(gateway, "builds/1/cancel/", "owner"))
    assert done(post(gateway, "namespaces/team/mappings/", "owner", do="add", entity="team/*", role="viewer"))
    assert done(post(gateway, "namespaces/team/mappings/", "owner", do="add", entity="team/a", role="admin"))
    assert done(post(gateway, "namespaces/team/mappings/", "owner", do="remove", entity="team/a", role="admin"))
    left = gateway.admin.get("/api/v1/namespace/team/").json()["data"]["role_mappings"]
    assert [(each["entity"], each["role"]) for each in left] == [("team/*", "viewer")]
    gateway.gateway.tallies.flush()
    rows = gateway.admin.get("/api/v1/audit/", params={"outcome": "denied"}).json()["data"]
    denied = {(row["principal"], row["action"], row["resource"]) for row in rows}
    assert ("service:viewer", "build::cancel", "team/first") in denied
    assert ("service:owner", "update-namespace", "*/*") in denied


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Referer": "https://evil.example/x"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
    ],
)
def test_other_sites_cannot_post_with_a_login(gateway: RunningGateway, headers: dict[str, str], status: int) -> None:
    gateway.submit("first")
    assert gateway.http.post("/login/", data={"username": "a", "password": TOKEN}).status_code == 303
    reply = gateway.http.post("/admin/builds/1/cancel/", headers=headers)
    assert reply.status_code == status
    state = gateway.admin.get("/api/v1/build/1/").json()["data"]["status"]
    assert state == ("CANCELED" if status == 303 else "QUEUED")


def test_names_and_reasons_of_others_are_text(gateway: RunningGateway) -> None:
    gateway.submit("first", namespace="team")
    gateway.solve(1)
    gateway.fail(1, HOSTILE)
    hostile = {"description": HOSTILE}
    assert gateway.admin.put("/api/v1/environment/team/first/", json=hostile).status_code == 200
    assert gateway.admin.put("/api/v1/namespace/team/metadata", json={"a": HOSTILE}).status_code == 200
    assert gateway.admin.put("/api/v1/build/1/labels/", json={"labels": {"git": "a.b"}}).status_code == 200
    for path in ("", "builds/", "builds/1/", "environments/", "environments/team/first/", "namespaces/team/", "audit/"):
        text = gateway.admin.get(f"/admin/{path}").text
        assert HOSTILE not in text, path
        assert "<script>alert" not in text, path
    for query in ("search", "namespace", "page", "said"):
        assert HOSTILE not in gateway.admin.get("/admin/environments/", params={query: HOSTILE}).text
