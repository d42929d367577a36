"""The pages of /admin/ show everybody what their roles allow, and nothing else; who is nobody is sent to the login."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from services.api.service import application
from tests.fixtures.gateway import RunningGateway, token_of
from tests.fixtures.served import make_lock

FILLED = {"{build_id}": "1", "{namespace}": "team", "{environment_name}": "first", "{token_id}": "1"}


@pytest.fixture(scope="module")
def house(quiet_gateway: RunningGateway) -> RunningGateway:
    """team/first is completed, team/hidden-1 waits, default/open waits, other/secret waits; token 1 is the admin's."""
    for name, namespace in (("first", "team"), ("hidden-1", "team"), ("open", "default"), ("secret", "other")):
        quiet_gateway.submit(name, namespace=namespace)
    quiet_gateway.solve(1, make_lock("zlib"))
    quiet_gateway.complete(1)
    assert quiet_gateway.admin.post("/api/v1/token/", json={"name": "<i>first</i>"}).status_code == 200
    return quiet_gateway


def pages(gateway: RunningGateway, method: str) -> list[str]:
    found = []
    for route in application(gateway.gateway).routes:
        assert isinstance(route, Route)
        if route.path.startswith("/admin/") and method in (route.methods or ()):
            path = route.path
            for part, value in FILLED.items():
                path = path.replace(part, value)
            assert "{" not in path
            found.append(path)
    assert len(found) > 10
    return found


def get(house: RunningGateway, who: str, path: str, **more: Any) -> httpx.Response:
    return house.http.get(f"/admin/{path}", headers=token_of(who), **more)


@pytest.mark.parametrize("prefix", ["", "/conda-store"])
def test_who_has_not_logged_in_is_sent_to_the_login_and_back(house: RunningGateway, prefix: str) -> None:
    for path in pages(house, "GET"):
        reply = house.http.get(f"{prefix}{path}", params={"page": "2"})
        assert reply.status_code == 303, path
        assert reply.headers["location"] == f"{prefix}/login/?next={prefix}{path}%3Fpage%3D2"
    for path in pages(house, "POST"):
        reply = house.http.post(f"{prefix}{path}", data={"name": "x"})
        assert (reply.status_code, reply.headers["content-type"]) == (403, "text/html; charset=utf-8"), path
        assert "your login has ended" in reply.text


class Markup(HTMLParser):
    """What a page refers to, and what it lets run."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.nonces: set[str] = set()
        self.labelled: set[str] = set()
        self.inputs: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.addresses += [given[name] for name in ("href", "src", "action") if name in given]
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag in ("script", "style"):
            self.nonces.add(given.get("nonce", "none"))
        if tag == "label":
            self.labelled.add(given.get("for", ""))
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.inputs.append(given)


def test_every_page_is_strict_and_self_contained(house: RunningGateway) -> None:
    nonces = set()
    for path in pages(house, "GET"):
        reply = house.admin.get(f"/conda-store{path}")
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["cache-control"] == "no-store"
        found = Markup()
        found.feed(reply.text)
        nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
        assert nonce is not None
        assert found.nonces == {nonce[1]}
        nonces.add(nonce[1])
        assert found.inline == []
        outside = [each for each in found.addresses if not each.startswith(("/conda-store/", "?", "#"))]
        assert outside == [], path
        unnamed = [each for each in found.inputs if each.get("id") not in found.labelled and "aria-label" not in each]
        assert unnamed == [], path
    assert len(nonces) == len(pages(house, "GET"))


def test_lists_hold_what_one_may_see(house: RunningGateway) -> None:
    everything = ("team/first", "team/hidden-1", "default/open", "other/secret")
    # Everybody who has logged in sees the default namespace.
    seen = {
        "viewer": everything[:3],
        "owner": everything[:3],
        "part": ("default/open",),
        "stranger": everything[2:],
        "none": ("default/open",),
    }
    for who, names in seen.items():
        for path in ("", "builds/", "environments/"):
            text = get(house, who, path).text
            assert [name for name in everything if f">{name}</a>" in text] == list(names), (who, path)
    assert "/admin/namespaces/other/" not in get(house, "owner", "namespaces/").text
    assert "/admin/usage/other/" not in get(house, "owner", "usage/").text
    assert "/admin/usage/team/" in get(house, "owner", "usage/").text
    assert "&lt;i&gt;first&lt;/i&gt;" not in get(house, "owner", "tokens/").text
    assert "&lt;i&gt;first&lt;/i&gt;" in house.admin.get("/admin/tokens/?owner=*").text


def test_what_one_may_not_see_is_refused_as_by_rest(house: RunningGateway) -> None:
    for path in ("builds/4/", "environments/other/secret/", "namespaces/other/", "settings/other/", "usage/other/"):
        reply = get(house, "owner", path)
        assert reply.status_code == 403, path
        assert "request not authorized" in reply.text
        assert house.admin.get(f"/admin/{path}").status_code == 200
    assert get(house, "owner", "tokens/?owner=*").status_code == 403
    assert get(house, "owner", "tokens/1/revoke/").status_code == 403
    assert get(house, "viewer", "settings/team/").status_code == 403
    assert get(house, "viewer", "audit/").status_code == 403
    assert get(house, "viewer", "builds/999/").status_code == 404
    assert "build id does not exist" in get(house, "viewer", "builds/999/").text
    assert get(house, "viewer", "builds/x/").status_code == 422


def test_only_what_one_may_do_is_offered(house: RunningGateway) -> None:
    offers = {
        "builds/1/": (">Delete…<", ">Build anew<"),
        "builds/2/": (">Cancel…<",),
        "namespaces/team/": (">Delete…<", ">Give<"),
        "environments/team/first/": (">Delete…<",),
        "settings/team/": (">Change<",),
    }
    for path, words in offers.items():
        for word in words:
            assert word in get(house, "owner", path).text, (path, word)
            assert word not in get(house, "viewer", path).text, (path, word)
    assert ">Build anew<" in get(house, "editor", "builds/1/").text
    assert ">Delete…<" not in get(house, "editor", "builds/1/").text
    assert "Set the limits" not in get(house, "owner", "usage/team/").text
    assert "Set the limits" in house.admin.get("/admin/usage/team/").text
    assert "Everybody's" not in get(house, "owner", "tokens/").text


def test_filters_and_pages_hold_together(house: RunningGateway) -> None:
    assert ">Build 1<" in get(house, "owner", "builds/", params={"status": "COMPLETED", "namespace": "team"}).text
    found = get(house, "owner", "builds/", params={"status": "COMPLETED", "namespace": "default"})
    assert "No build that you may see fits" in found.text
    for number in range(60):
        house.submit(f"many-{number}", namespace="other")
    first = get(house, "stranger", "builds/", params={"namespace": "other", "name": ""})
    assert "Page 1 of 3, 61 in all" in first.text
    assert 'href="?namespace=other&amp;page=2" rel="next"' in first.text
    last = get(house, "stranger", "builds/", params={"namespace": "other", "page": "3"})
    assert last.text.count('class="whole" href="/admin/builds/') == 11
    assert 'rel="next"' not in last.text
    wrong = get(house, "stranger", "builds/", params={"page": "x", "namespace": "other"})
    assert (wrong.status_code, 'value="other"' in wrong.text) == (422, True)
    assert "valid integer" in wrong.text


def test_the_audit_log_is_read_by_those_who_may(house: RunningGateway) -> None:
    assert house.admin.put("/api/v1/namespace/team/metadata", json={"a": 1}).status_code == 200
    assert house.admin.put("/api/v1/namespace/other/metadata", json={"a": 1}).status_code == 200
    owner = get(house, "owner", "audit/").text
    assert "team/*" in owner
    assert "other/*" not in owner
    export = re.search(r'href="(/api/v1/audit/[^"]+)"', owner)
    assert export is not None
    lines = house.http.get(export[1].replace("&amp;", "&"), headers=token_of("owner"))
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    refused = get(house, "owner", "audit/", params={"namespace": "other"})
    assert (refused.status_code, 'value="other"' in refused.text) == (403, True)
    wrong = house.admin.get("/admin/audit/", params={"since": "yesterday", "principal": "admin"})
    assert wrong.status_code == 422
    assert 'value="yesterday"' in wrong.text
    assert 'aria-describedby="since-fault"' in wrong.text
    assert house.admin.get(
        "/admin/audit/", params={"since": "2020-01-01T00:00", "until": "2020-01-02T00:00"}
    ).is_success


def test_the_pages_are_found_from_the_first_steps(house: RunningGateway) -> None:
    assert 'href="/conda-store/admin/"' in house.http.get("/conda-store/").text
    assert 'href="/conda-store/ui/"' in house.admin.get("/conda-store/admin/").text
    assert house.http.get("/admin", follow_redirects=False).status_code == 307
