"""The checks of pulling clients one by one, by their numbers, against the running service."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from condarium.domain.image.index import OCI_INDEX
from tests.fixtures.oci_kinds import EMPTY_JSON, RANGED, Kind, kinds, store
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock

MISSING = "sha256:" + "ab" * 32
MISSING_512 = "sha512:" + "ab" * 64
KNOWN_CODES = {
    *("BLOB_UNKNOWN", "DIGEST_INVALID", "MANIFEST_UNKNOWN", "MANIFEST_INVALID", "NAME_INVALID", "NAME_UNKNOWN"),
    *("SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "PAGINATION_NUMBER_INVALID"),
}


@dataclass
class Checked:
    """`R` is the repository that holds everything, `empty` one without an image."""

    http: httpx.Client
    kinds: dict[str, Kind]

    def ask(self, path: str, method: str = "GET", name: str = "env", **headers: str) -> httpx.Response:
        shown = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.http.request(method, f"/v2/{name}/{path}", headers=shown)


@pytest.fixture(scope="module")
def checked(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checked]:
    from tests.fixtures.infrastructure import _database

    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_registry(url, tmp_path_factory.mktemp("storage")) as registry:
            yield Checked(registry.http, _fill(registry))


def _fill(registry: RunningRegistry) -> dict[str, Kind]:
    for name, package in (("env", "zlib"), ("empty", "bzip2")):
        build = registry.submit(name, package=package)
        registry.solve(build.build_id, make_lock(package))
        registry.complete(build.build_id)
        if name == "env":
            registry.make_image(build.build_id)
    return store(registry, make_lock("zlib"))


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha512(data: bytes) -> str:
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


def assert_blob(checked: Checked, digest: str, data: bytes) -> None:
    for method in ("GET", "HEAD"):
        reply = checked.ask(f"blobs/{digest}", method)
        assert reply.status_code == 200, reply.text
        assert reply.content == (data if method == "GET" else b"")
        assert reply.headers["content-length"] == str(len(data))
        assert reply.headers["docker-content-digest"] == digest


def assert_part(checked: Checked, asked: str, start: int, end: int) -> None:
    reply = checked.ask(f"blobs/{sha256(RANGED)}", Range=f"bytes={asked}")
    assert reply.status_code == 206
    assert reply.content == RANGED[start:end]
    assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
    assert reply.headers["content-length"] == str(end - start)


def assert_unsatisfiable(checked: Checked, asked: str) -> None:
    reply = checked.ask(f"blobs/{sha256(RANGED)}", Range=f"bytes={asked}")
    assert (reply.status_code, reply.content) == (416, b"")
    assert reply.headers["content-range"] == "bytes */2048"


def assert_manifest(checked: Checked, reference: str, method: str, kind: Kind | None = None) -> None:
    reply = checked.ask(f"manifests/{reference}", method)
    assert reply.status_code == 200, reply.text
    body = kind.body if kind else checked.ask(f"manifests/{reference}").content
    assert reply.content == (body if method == "GET" else b"")
    assert reply.headers["content-length"] == str(len(body))
    assert reply.headers["content-type"] == json.loads(body)["mediaType"]
    expected = reference if ":" in reference else sha256(body)
    assert reply.headers["docker-content-digest"] == expected


def assert_error(reply: httpx.Response, status: int, code: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    if reply.request.method == "HEAD":
        assert reply.content == b""
        return
    for error in reply.json()["errors"]:
        assert set(error) == {"code", "message", "detail"}
        assert error["code"] in KNOWN_CODES
        assert isinstance(error["message"], str)
    assert reply.json()["errors"][0]["code"] == code


def p1(checked: Checked) -> None:
    reply = checked.http.get("/v2/")
    assert reply.status_code in (200, 401)
    assert reply.headers["docker-distribution-api-version"] == "registry/2.0"


def e1(checked: Checked) -> None:
    reply = checked.ask("tags/list", name="empty")
    assert reply.status_code == 200
    assert reply.json()["name"] == "empty"


def e2(checked: Checked, name: str = "empty", digest: str = MISSING) -> None:
    reply = checked.ask(f"referrers/{digest}", name=name)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == OCI_INDEX
    assert reply.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def f2(checked: Checked) -> None:
    reply = checked.ask(f"referrers/{MISSING}?artifactType=application/vnd.example")
    assert reply.headers["oci-filters-applied"] == "artifactType"
    assert "oci-filters-applied" not in checked.ask(f"referrers/{MISSING}").headers


def b6(checked: Checked) -> None:
    for data in (b"", EMPTY_JSON, RANGED):
        assert_blob(checked, sha512(data), data)
    assert_error(checked.ask(f"blobs/{MISSING_512}"), 404, "BLOB_UNKNOWN")


def m8(checked: Checked) -> None:
    for bad in ("sha256:baddigeststring", "sha512:" + "ab" * 32, "sha256:" + "AB" * 32, "md5:" + "ab" * 16, ":"):
        for path in ("manifests", "blobs", "referrers"):
            for method in ("GET", "HEAD"):
                assert_error(checked.ask(f"{path}/{bad}", method), 400, "DIGEST_INVALID")


def m9(checked: Checked) -> None:
    for path, code in (
        ("manifests/nope", "MANIFEST_UNKNOWN"),
        (f"manifests/{MISSING}", "MANIFEST_UNKNOWN"),
        (f"manifests/{MISSING_512}", "MANIFEST_UNKNOWN"),
        (f"blobs/{MISSING}", "BLOB_UNKNOWN"),
    ):
        assert_error(checked.ask(path), 404, code)
    assert_error(checked.ask("manifests/latest", name="nope"), 404, "NAME_UNKNOWN")
    assert_error(checked.ask("manifests/latest", name="NOPE"), 400, "NAME_INVALID")
    assert_error(checked.ask("tags/list?n=-1"), 400, "PAGINATION_NUMBER_INVALID")


def tags(checked: Checked, query: str = "") -> list[str]:
    reply = checked.ask(f"tags/list{query}")
    assert reply.status_code == 200
    return list(reply.json()["tags"])


def t1(checked: Checked) -> None:
    assert {"latest", "g1", make_lock("zlib").hash} < set(tags(checked))
    assert tags(checked) == sorted(tags(checked))
    for tag in tags(checked):
        assert checked.ask(f"manifests/{tag}", "HEAD").status_code == 200


def t2(checked: Checked) -> None:
    every = tags(checked)
    for last in (every[1], every[1] + "-", "nothing-like-it"):
        assert tags(checked, f"?last={last}") == [tag for tag in every if tag > last]


def t3(checked: Checked) -> None:
    every = tags(checked)
    reply = checked.ask("tags/list?n=2")
    assert reply.json()["tags"] == every[:2]
    following = reply.links["next"]["url"]
    assert checked.http.get(following).json()["tags"] == every[2:4]
    assert "link" not in checked.ask(f"tags/list?n={len(every)}").headers
    assert tags(checked, f"?n=1&last={every[0]}") == every[1:2]


def t4(checked: Checked) -> None:
    reply = checked.ask("tags/list?n=0")
    assert reply.json()["tags"] == []
    assert "link" not in reply.headers


def missing(path: str, method: str, code: str) -> Callable[[Checked], None]:
    return lambda checked: assert_error(checked.ask(path, method), 404, code)


CHECKS: dict[str, Callable[[Checked], None]] = {
    "P1": p1,
    "E1": e1,
    "E2": e2,
    "B1": missing(f"blobs/{MISSING}", "GET", "BLOB_UNKNOWN"),
    "B2, B3": lambda checked: assert_blob(checked, sha256(RANGED), RANGED),
    "B4": missing(f"blobs/{MISSING}", "HEAD", "BLOB_UNKNOWN"),
    "B5, no bytes": lambda checked: assert_blob(checked, sha256(b""), b""),
    "B5, {}": lambda checked: assert_blob(checked, sha256(EMPTY_JSON), EMPTY_JSON),
    "B6": b6,
    "R1": lambda checked: assert_part(checked, "500-1499", 500, 1500),
    "R2": lambda checked: assert_part(checked, "500-", 500, 2048),
    "R3": lambda checked: assert_part(checked, "-500", 1548, 2048),
    "R4": lambda checked: assert_part(checked, "2000-5000", 2000, 2048),
    "R5": lambda checked: assert_unsatisfiable(checked, "500-0"),
    "R6": lambda checked: assert_unsatisfiable(checked, "5000-10000"),
    "M1": lambda checked: assert_manifest(checked, "latest", "HEAD"),
    "M2": lambda checked: assert_manifest(checked, checked.kinds["image"].sha256, "HEAD", checked.kinds["image"]),
    "M3": lambda checked: assert_manifest(checked, "latest", "GET"),
    "M4": lambda checked: assert_manifest(checked, checked.kinds["image"].sha256, "GET", checked.kinds["image"]),
    "M5": missing(f"manifests/{MISSING}", "GET", "MANIFEST_UNKNOWN"),
    "M6": missing("manifests/nope", "GET", "MANIFEST_UNKNOWN"),
    "M7, digest": missing(f"manifests/{MISSING}", "HEAD", "MANIFEST_UNKNOWN"),
    "M7, tag": missing("manifests/nope", "HEAD", "MANIFEST_UNKNOWN"),
    "M8": m8,
    "M9": m9,
    "T1": t1,
    "T2": t2,
    "T3": t3,
    "T4": t4,
    # F1 and F4, and what a filter leaves, are checked where there are referrers
    "F2": f2,
    "F3": lambda checked: e2(checked, "env"),
    "F3, sha512": lambda checked: e2(checked, "env", MISSING_512),
}


@pytest.mark.parametrize("check", CHECKS)
def test_check(checked: Checked, check: str) -> None:
    CHECKS[check](checked)


@pytest.mark.parametrize("name", kinds())
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_kind_of_manifest_comes_back_byte_by_byte_with_all_it_names(
    checked: Checked, name: str, algorithm: str
) -> None:
    kind = checked.kinds[name]
    reference = kind.sha256 if algorithm == "sha256" else kind.sha512
    for method in ("GET", "HEAD"):
        assert_manifest(checked, reference, method, kind)
    reply = checked.ask(f"manifests/{reference}", If_None_Match=f'"{kind.sha256}"')
    assert (reply.status_code, reply.content) == (304, b"")
    if kind.media_type == OCI_INDEX:
        for member in json.loads(kind.body)["manifests"]:
            assert checked.ask(f"manifests/{member['digest']}").status_code == 200
        return
    for digest, data in kind.blobs.items():
        assert_blob(checked, f"sha256:{digest}", data)


@pytest.mark.parametrize("path", ["blobs/{blob}", "manifests/{manifest}", "manifests/latest"])
def test_what_is_known_is_not_sent_again_and_is_kept_as_long_as_it_is_right(checked: Checked, path: str) -> None:
    asked = path.format(blob=sha256(RANGED), manifest=checked.kinds["image"].sha256)
    reply = checked.ask(asked)
    keeps = "no-cache" if asked.endswith("latest") else "max-age=31536000, immutable"
    assert reply.headers["cache-control"] == f"private, {keeps}"
    for method in ("GET", "HEAD"):
        for known in (reply.headers["etag"], f'"a", W/{reply.headers["etag"]}', "*"):
            again = checked.ask(asked, method, If_None_Match=known)
            assert (again.status_code, again.content) == (304, b"")
            for name in ("etag", "cache-control", "docker-content-digest"):
                assert again.headers[name] == reply.headers[name]
        assert checked.ask(asked, method, If_None_Match='"sha256:other"').status_code == 200
