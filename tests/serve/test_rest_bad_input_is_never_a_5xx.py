"""Whatever is sent, the answer is a sentence: never a 5xx, never a traceback, never a hang.

What each wrong input is answered stands in the table of `test_rest_wrong_input_table.py`.
"""

import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import patient

BUILD, SPEC = "/api/v1/build/", "/api/v1/specification/"


@pytest.fixture(scope="module")
def house(quiet_gateway: RunningGateway) -> RunningGateway:
    quiet_gateway.post("first")
    return quiet_gateway


def said(reply: Any) -> str:
    """The sentence; fails for a body of another form than the contract's two."""
    body = reply.json()
    if "detail" in body:
        detail = body["detail"]
        if isinstance(detail, list):
            assert all(set(item) >= {"type", "loc", "msg", "input"} for item in detail)
            return "; ".join(item["msg"] for item in detail)
        return str(detail)
    if reply.status_code == 200:
        return ""
    assert body["status"] == "error"
    return str(body["message"])


class Reply:
    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


def raw(house: RunningGateway, method: str, path: str, body: bytes | None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(house.address).netloc, timeout=patient(20))
    try:
        authorization = house.admin.headers["authorization"]
        connection.request(method, path, body, {"Authorization": authorization, **headers})
        reply = connection.getresponse()
        return Reply(reply.status, reply.read())
    finally:
        connection.close()


def test_a_body_without_end_is_cut_off(house: RunningGateway) -> None:
    def endless() -> Any:
        for _ in range(100):
            yield b" " * 100_000

    reply = house.admin.post(SPEC, content=endless())
    assert reply.status_code == 413
    assert raw(house, "POST", SPEC, None, **{"Content-Length": "9" * 15}).status_code == 413


def test_odd_hosts_and_headers(house: RunningGateway) -> None:
    for host in ("[", "a b", "", "x" * 3000, "http://x", "\x7f"):
        for path in ("/api/v1/build/", "/", "/api/v1/specification"):
            status = raw(house, "GET", path, None, Host=host).status_code
            assert status < 500, (host, path)
        assert raw(house, "PUT", "/api/v1/build/1", None, Host=host).status_code < 500, host
    for headers in ({"Cookie": "x" * 5000}, {"Range": "bytes=" + "9" * 4000}, {"Accept": "\xff"}, {"Origin": "\xff"}):
        assert raw(house, "GET", "/api/v1/build/", None, **headers).status_code < 500


_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
_QUERY = st.dictionaries(
    st.sampled_from(
        ["page", "size", "order", "sort_by", "status", "search", "namespace", "name", "packages", "artifact", "limit",
         "cursor", "environment_id", "jwt", "exact", "build", "platform", "format"]
    ),
    st.one_of(_TEXT, st.integers().map(str), st.sampled_from(["", "asc", "desc", "name", "QUEUED", "NaN", "true"])),
    max_size=5,
)  # fmt: skip
_PATHS = st.sampled_from(
    ["environment/", "build/", "namespace/", "usage/", "permission/", "build/1/", "build/1/packages/", "build/1/logs/",
     "build/1/docker/", "build/1/artifact/", "build/1/lockfile/", "environment/default/first/"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=_PATHS, query=_QUERY, version=st.sampled_from(["v1", "v2"]))
def test_no_query_is_a_5xx(house: RunningGateway, path: str, query: dict[str, str], version: str) -> None:
    reply = house.admin.get(f"/api/{version}/{path}", params=query)
    assert reply.status_code < 500, reply.text
    if reply.headers["content-type"] == "application/json":
        said(reply)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    build=st.one_of(st.integers(), _TEXT), tail=st.sampled_from(["", "cancel/", "packages/", "yaml/", "artifact/x/"])
)
def test_no_path_is_a_5xx(house: RunningGateway, build: int | str, tail: str) -> None:
    for method in ("GET", "PUT"):
        path = f"{BUILD}{quote(str(build), safe='')}/{tail}"
        if build != 1:
            assert raw(house, method, path, None).status_code < 500


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | _TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
            max_leaves=6,
        ).map(lambda value: json.dumps({"build_id": value, "description": value}).encode()),
    )
)
def test_no_body_is_a_5xx(house: RunningGateway, body: bytes) -> None:
    for method, path in (("PUT", "/api/v1/environment/default/nope/"), ("POST", SPEC)):
        assert raw(house, method, path, body).status_code < 500
