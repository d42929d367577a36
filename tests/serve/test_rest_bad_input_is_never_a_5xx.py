"""Whatever is sent, the answer is a sentence: never a 5xx, never a traceback, never a hang, nothing changed."""

import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.gateway import RunningGateway

NUL = "%00"
BUILD = "/api/v1/build/"
HUGE = "9" * 30
SPEC = "/api/v1/specification/"
ENV = "/api/v1/environment/default/first/"
GOOD = "name: a\ndependencies: [zlib]\n"

#: (method, path, body, code, a part of the message); body None is none, bytes go as they are
TABLE: list[tuple[str, str, Any, int, str]] = [
    ("GET", f"{BUILD}?page=0", None, 422, "greater than or equal to 1"),
    ("GET", f"{BUILD}?page=-1", None, 422, "greater than or equal to 1"),
    ("GET", f"{BUILD}?page={HUGE}", None, 422, "less than or equal"),
    ("GET", f"{BUILD}?page={'9' * 5000}", None, 422, ""),
    ("GET", f"{BUILD}?page=x", None, 422, "valid integer"),
    ("GET", f"{BUILD}?page=", None, 422, "valid integer"),
    ("GET", f"{BUILD}?size=0", None, 422, "greater than or equal to 1"),
    ("GET", f"{BUILD}?size={HUGE}", None, 200, ""),
    ("GET", f"{BUILD}?size=1.5", None, 422, "valid integer"),
    ("GET", f"{BUILD}?status=DONE", None, 422, "QUEUED"),
    ("GET", f"{BUILD}?status=", None, 200, ""),
    ("GET", f"{BUILD}?environment_id={HUGE}", None, 422, "less than or equal"),
    ("GET", f"{BUILD}?environment_id=-1", None, 422, "greater than or equal"),
    ("GET", f"{BUILD}?namespace={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}?name={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}?packages={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}?artifact={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}?name=%ff%fe", None, 200, ""),
    ("GET", f"{BUILD}?name={'x' * 20000}", None, 200, ""),
    ("GET", f"{BUILD}?&&&=&%", None, 200, ""),
    ("GET", f"{BUILD}0/", None, 404, "does not exist"),
    ("GET", f"{BUILD}-1/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{'9' * 5000}/", None, 422, ""),
    ("GET", f"{BUILD}{2**63}/", None, 404, "does not exist"),
    ("GET", f"{BUILD}1.5/", None, 422, "valid integer"),
    ("GET", f"{BUILD}{NUL}/", None, 422, "U+0000"),
    ("GET", f"{BUILD}x/", None, 422, "valid integer"),
    ("GET", f"{BUILD}1%2F2/", None, 404, "Not Found"),
    ("PUT", f"{BUILD}{HUGE}/", None, 404, "does not exist"),
    ("PUT", f"{BUILD}x/cancel/", None, 422, "valid integer"),
    ("PUT", f"{BUILD}{HUGE}/cancel/", None, 404, "does not exist"),
    ("PUT", f"{BUILD}{HUGE}/retry/", None, 404, "does not exist"),
    ("DELETE", f"{BUILD}{HUGE}/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/packages/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/logs/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/archive/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/archive/?wait=5", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/docker/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/installer/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/artifact/", None, 404, "does not exist"),
    ("POST", f"{BUILD}{HUGE}/artifact/YAML/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/events/", None, 404, "does not exist"),
    ("GET", f"{BUILD}{HUGE}/logs/stream/", None, 404, "does not exist"),
    ("GET", f"{BUILD}1/artifact/{NUL}/", None, 422, "U+0000"),
    ("POST", f"{BUILD}1/artifact/EXE/", None, 404, "CONDA_PACK"),
    ("GET", f"{BUILD}1/lockfile/?format={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}1/lockfile/?format=exe", None, 400, "explicit"),
    ("GET", f"{BUILD}1/archive/?platform={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}1/packages/?search=%25_%5C", None, 200, ""),
    ("GET", f"{BUILD}1/packages/?build={NUL}", None, 422, "U+0000"),
    ("GET", f"{BUILD}1/archive/?wait=1e999", None, 422, ""),
    ("GET", "/api/v1/environment/?search=%00", None, 422, "U+0000"),
    ("GET", "/api/v1/environment/?page=0", None, 422, "greater than or equal to 1"),
    ("GET", "/api/v1/environment/?jwt=%00", None, 422, "U+0000"),
    ("GET", "/api/v1/environment/?jwt=%F0%9F%8E%B2", None, 200, ""),
    ("GET", f"/api/v1/environment/{NUL}/x/", None, 422, "U+0000"),
    ("GET", f"/api/v1/environment/x/{NUL}/", None, 422, "U+0000"),
    ("GET", f"/api/v1/environment/x/{quote('ü' * 200)}/", None, 404, "does not exist"),
    ("GET", "/api/v1/environment/%ff/%fe/", None, 404, "does not exist"),
    ("GET", f"/api/v1/namespace/{NUL}/", None, 422, "U+0000"),
    ("GET", "/api/v1/namespace/..%2f..%2f/", None, 404, ""),
    ("GET", "/api/v2/environment/?limit=0", None, 422, "greater than or equal to 1"),
    ("GET", f"/api/v2/environment/?limit={HUGE}", None, 422, "less than or equal"),
    ("GET", "/api/v2/environment/?order=up", None, 422, "pattern"),
    ("GET", "/api/v2/environment/?sort_by=id", None, 400, "Cannot sort results by ['id']"),
    ("GET", "/api/v2/environment/?cursor=x", None, 400, "the cursor is not one of this list"),
    ("GET", "/api/v2/environment/?cursor=%ff", None, 400, "the cursor is not one of this list"),
    ("GET", "/api/v2/environment/?cursor=W10=", None, 400, "the cursor is not one of this list"),
    ("GET", "/api/v2/environment/?cursor=bnVsbA==", None, 400, "the cursor is not one of this list"),
    # {"last_id":"1","last_value":{}}  {"last_id":1e99,...}  {"last_id":1,"last_value":{"name":"\u0000"}}
    ("GET", "/api/v2/environment/?cursor=eyJsYXN0X2lkIjoiMSIsImxhc3RfdmFsdWUiOnt9fQ==", None, 400, "the cursor"),
    ("GET", "/api/v2/environment/?cursor=eyJsYXN0X2lkIjoxZTk5LCJsYXN0X3ZhbHVlIjp7fX0=", None, 400, "the cursor"),
    (
        "GET",
        "/api/v2/environment/?sort_by=name&cursor=eyJsYXN0X2lkIjoxLCJsYXN0X3ZhbHVlIjp7Im5hbWUiOiJcdTAwMDAifX0=",
        None,
        400,
        "the cursor",
    ),
    ("GET", "/api/v1/events/?after=-1", None, 422, "greater than or equal to 0"),
    ("GET", f"/api/v1/events/?after={HUGE}", None, 422, "less than or equal"),
    ("GET", "/api/v1/events/?build=x", None, 422, "valid integer"),
    ("GET", "/api/v1/events/?type=nonsense", None, 400, "fits no event"),
    ("GET", "/api/v1/events/?type=[", None, 400, "fits no event"),
    ("GET", f"/api/v1/events/?namespace={NUL}", None, 422, "U+0000"),
    ("POST", SPEC, None, 422, "Field required"),
    ("POST", SPEC, b"", 422, "Field required"),
    ("POST", SPEC, b"{", 422, "JSON decode error"),
    ("POST", SPEC, b"\xff\xfe", 422, "JSON decode error"),
    ("POST", SPEC, b"[" * 100_000, 422, "JSON decode error"),
    ("POST", SPEC, b'{"specification": NaN}', 422, "JSON decode error"),
    ("POST", SPEC, b'{"specification": "\\ud800"}', 422, "JSON decode error"),
    ("POST", SPEC, b"null", 422, "dictionary"),
    ("POST", SPEC, b"[]", 422, "dictionary"),
    ("POST", SPEC, b'"name: a"', 422, "dictionary"),
    ("POST", SPEC, {"specification": 1}, 422, "valid string"),
    ("POST", SPEC, {"specification": {"name": "a"}}, 422, "valid string"),
    ("POST", SPEC, {"specification": None}, 422, "valid string"),
    ("POST", SPEC, {"specification": GOOD, "namespace": 5}, 422, "valid string"),
    ("POST", SPEC, {"specification": GOOD, "namespace": "a/b"}, 400, "cannot name the namespace"),
    ("POST", SPEC, {"specification": GOOD, "namespace": "a\0b"}, 422, "U+0000"),
    ("POST", SPEC, {"specification": GOOD, "namespace": "x" * 65}, 400, "cannot name the namespace"),
    ("POST", SPEC, {"specification": GOOD, "namespace": "dynamic"}, 400, "reserved"),
    ("POST", SPEC, {"specification": GOOD, "namespace": ".."}, 400, "cannot name the namespace"),
    ("POST", SPEC, {"specification": GOOD, "is_lockfile": "perhaps"}, 422, "valid boolean"),
    ("POST", SPEC, {"specification": GOOD, "is_lockfile": True}, 400, "environment_name: it is missing"),
    ("POST", SPEC, {"specification": GOOD, "is_lockfile": True, "environment_name": "a"}, 400, "leave out is_lockfile"),
    ("POST", SPEC, {"specification": "@EXPLICIT\nzlib", "is_lockfile": True, "environment_name": "a"}, 400, "line 2"),
    ("POST", SPEC, {"specification": GOOD, "labels": {"a b": "c"}}, 400, "labels: 'a b'"),
    ("POST", SPEC, {"specification": GOOD, "labels": {"a": 1}}, 422, "valid string"),
    ("GET", f"{SPEC}?conda=python%20%3B%20x", None, 400, "match spec"),
    ("GET", f"{SPEC}?conda={NUL}", None, 422, "U+0000"),
    ("GET", "/api/v1/build/?label=a%20b", None, 400, "is no label"),
    ("POST", SPEC, {}, 400, ""),
    ("POST", SPEC, {"specification": ""}, 400, ""),
    ("POST", SPEC, {"specification": "a\0b"}, 422, "U+0000"),
    ("POST", SPEC, {"specification": "- a\n- b\n"}, 400, ""),
    ("POST", SPEC, {"specification": "name: a/b\ndependencies: [zlib]\n"}, 400, "a/b"),
    ("POST", SPEC, {"specification": "name: a\ndependencies: []\n"}, 400, ""),
    ("POST", SPEC, {"specification": "name: a\ndependencies: ['numpy >>> 1']\n"}, 400, "numpy >>> 1"),
    ("POST", SPEC, {"specification": "name: a\nname: b\ndependencies: [zlib]\n"}, 400, "line 2"),
    ("POST", SPEC, {"specification": "name: a\nchannels: ['https://u:p@x/c']\ndependencies: [zlib]\n"}, 400, ""),
    ("POST", SPEC, {"specification": "a: &a [1]\n" + "b: [*a, *a]\n" * 500}, 400, ""),
    ("POST", SPEC, {"specification": "[" * 50_000}, 400, ""),
    ("POST", SPEC, {"specification": GOOD + "#" * 2_000_000}, 413, "2000000 bytes"),
    ("PUT", ENV, None, 422, "Field required"),
    ("PUT", ENV, b"{]", 422, "JSON decode error"),
    ("PUT", ENV, {"build_id": "x"}, 422, "valid integer"),
    ("PUT", ENV, {"build_id": 1.5}, 422, "valid integer"),
    ("PUT", ENV, {"build_id": 10**30}, 400, "does not exist"),
    ("PUT", ENV, {"build_id": -1}, 400, "does not exist"),
    ("PUT", ENV, {"build_id": 1}, 400, "since not completed"),
    ("PUT", ENV, {"description": "a\0b"}, 422, "U+0000"),
    ("PUT", ENV, {"description": 5}, 422, "valid string"),
    ("PUT", "/api/v1/environment/default/nope/", {"build_id": 1}, 400, "does not exist"),
    ("PUT", f"/api/v1/environment/default/{NUL}/", {"build_id": 1}, 422, "U+0000"),
    ("DELETE", f"/api/v1/environment/{NUL}/x/", None, 422, "U+0000"),
    ("DELETE", "/api/v1/environment/default/nope/", None, 400, "does not exist"),
    ("GET", "/storage/", None, 400, "storage key"),
    ("GET", "/storage/%00", None, 422, "U+0000"),
    ("GET", "/storage/..%2f..%2fetc%2fpasswd", None, 400, "storage key"),
    ("GET", f"/storage/{'a' * 3000}", None, 400, "storage key"),
    ("GET", "/storage/a?signature=%ff&expires=x", None, 403, "not signed"),
    ("GET", "/storage/a?signature=", None, 403, "not signed"),
    ("GET", "/nonsense", None, 404, "Not Found"),
    ("GET", "//", None, 404, "Not Found"),
    ("GET", "/api/v1/%2e%2e/x", None, 404, "Not Found"),
    ("POST", "/api/v1/build/", None, 405, "Method Not Allowed"),
    ("PATCH", "/api/v1/build/1/", None, 405, "Method Not Allowed"),
    ("DELETE", "/", None, 405, "Method Not Allowed"),
    ("TRACE", "/api/v1/", None, 405, "Method Not Allowed"),
]


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


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "part"),
    TABLE,
    ids=[f"{row[0]} {row[1][:60]} {str(row[2])[:40]!r}" for row in TABLE],
)
def test_each_wrong_input_has_its_answer(
    house: RunningGateway, method: str, path: str, body: Any, code: int, part: str
) -> None:
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    before = house.admin.get("/api/v1/build/").json()
    # http.client sends the path as it is; httpx would tidy it up.
    reply = raw(house, method, path, content)
    assert reply.status_code == code, reply.body[:500]
    assert part in said(reply)
    assert "Traceback" not in reply.body.decode()
    assert house.admin.get("/api/v1/build/").json() == before


class Reply:
    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


def raw(house: RunningGateway, method: str, path: str, body: bytes | None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(house.address).netloc, timeout=20)
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
