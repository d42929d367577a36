"""What pulling clients rely on, request by request: status, headers and bytes."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock

MISSING = "sha256:" + "ab" * 32
BIG = bytes(range(256)) * 8


@pytest.fixture(scope="module")
def _module_database(postgres_server: object, migrated_template: str) -> Iterator[str]:
    from tests.fixtures.infrastructure import _database

    yield from _database(postgres_server, f'TEMPLATE "{migrated_template}"')  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def registry(_module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    directory = tmp_path_factory.mktemp("storage")
    with running_registry(_module_database, directory) as running:
        build = running.submit("env1")
        running.solve(build.build_id, make_lock("zlib"))
        running.complete(build.build_id)
        running.make_image(build.build_id, {"opt/env/data": BIG})
        multi = running.submit("multi")
        running.solve(multi.build_id, make_lock("a"), make_lock("a", "linux-aarch64"))
        running.complete(multi.build_id)
        running.make_image(multi.build_id)
        secret = running.submit("env1", namespace="secret", package="openssl")
        running.solve(secret.build_id, make_lock("openssl"))
        running.complete(secret.build_id)
        running.make_image(secret.build_id, {"opt/env/secret": b"hush"})
        yield running


def manifest(registry: RunningRegistry, name: str = "env1", tag: str = "latest", accept: str = "*/*") -> httpx.Response:
    return registry.http.get(f"/v2/{name}/manifests/{tag}", headers={"Accept": accept})


def layer_digest(registry: RunningRegistry) -> str:
    return str(manifest(registry).json()["layers"][0]["digest"])


def assert_error(reply: httpx.Response, status: int, code: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    error = reply.json()["errors"][0]
    assert error["code"] == code
    assert error["message"]


# -- manifests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["env1", "default/env1"])
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ([], OCI_MANIFEST),
        (["*/*"], OCI_MANIFEST),
        ([OCI_MANIFEST], OCI_MANIFEST),
        ([DOCKER_MANIFEST], DOCKER_MANIFEST),
        ([f"{DOCKER_MANIFEST}, {OCI_MANIFEST};q=0"], DOCKER_MANIFEST),
        ([DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX], DOCKER_MANIFEST),
        ([f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"], OCI_MANIFEST),
    ],
)
def test_a_tag_is_served_in_a_form_that_the_client_accepts(
    registry: RunningRegistry, name: str, accept: list[str], media_type: str
) -> None:
    path = f"/v2/{name}/manifests/latest"
    request = registry.http.build_request("GET", path)
    del request.headers["accept"]
    request = httpx.Request("GET", request.url, headers=[("Host", registry.address), *(("Accept", a) for a in accept)])
    reply = registry.http.send(request)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == media_type
    assert reply.json()["mediaType"] == media_type
    digest = f"sha256:{hashlib.sha256(reply.content).hexdigest()}"
    assert reply.headers["docker-content-digest"] == digest
    assert reply.headers["etag"] == f'"{digest}"'
    assert reply.headers["vary"] == "Accept"
    assert int(reply.headers["content-length"]) == len(reply.content)
    by_digest = registry.http.get(f"/v2/{name}/manifests/{digest}")
    assert by_digest.content == reply.content
    assert by_digest.headers["content-type"] == media_type


def test_a_client_that_accepts_none_of_them_is_told(registry: RunningRegistry) -> None:
    reply = manifest(registry, accept="application/vnd.docker.distribution.manifest.v1+prettyjws")
    assert_error(reply, 404, "MANIFEST_UNKNOWN")
    assert "accepts" in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("reference", ["latest", "digest"])
def test_head_is_get_without_the_body(registry: RunningRegistry, reference: str) -> None:
    got = manifest(registry)
    asked = got.headers["docker-content-digest"] if reference == "digest" else reference
    reply = registry.http.head(f"/v2/env1/manifests/{asked}")
    assert reply.status_code == 200
    assert reply.content == b""
    for name in ("content-type", "content-length", "docker-content-digest", "etag"):
        assert reply.headers[name] == got.headers[name]


def test_a_known_digest_is_not_sent_again(registry: RunningRegistry) -> None:
    etag = manifest(registry).headers["etag"]
    reply = registry.http.get("/v2/env1/manifests/latest", headers={"If-None-Match": f'"other", {etag}'})
    assert reply.status_code == 304
    assert reply.content == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["nope", "g99", "0123456789abcdef", MISSING, "x" * 129])
def test_what_is_not_there_is_404(registry: RunningRegistry, method: str, reference: str) -> None:
    reply = registry.http.request(method, f"/v2/env1/manifests/{reference}")
    assert reply.status_code == 404
    if method == "GET":
        assert_error(reply, 404, "MANIFEST_UNKNOWN")


def test_a_bad_digest_is_400(registry: RunningRegistry) -> None:
    for path in ("manifests", "blobs", "referrers"):
        for digest in ("sha256:baddigeststring", "md5:abc", "sha256:" + "AB" * 32):
            assert_error(registry.http.get(f"/v2/env1/{path}/{digest}"), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("name", ["nope", "default/nope", "a/b/c"])
def test_an_unknown_repository_is_404(registry: RunningRegistry, name: str) -> None:
    reply = registry.http.get(f"/v2/{name}/manifests/latest")
    if name == "a/b/c":
        assert_error(reply, 404, "NAME_UNKNOWN")
    else:
        assert_error(reply, 404, "NAME_UNKNOWN")
        assert_error(registry.http.get(f"/v2/{name}/tags/list"), 404, "NAME_UNKNOWN")


@pytest.mark.parametrize("name", ["ENV1", "-env", "env..1", "env/", "%00", "x" * 300])
def test_a_name_that_oci_forbids_is_400(registry: RunningRegistry, name: str) -> None:
    assert_error(registry.http.get(f"/v2/{name}/manifests/latest"), 400, "NAME_INVALID")


def test_an_index_has_all_platforms_and_who_reads_none_gets_linux_64(registry: RunningRegistry) -> None:
    reply = manifest(registry, "multi")
    assert reply.headers["content-type"] == OCI_INDEX
    platforms = [item["platform"]["architecture"] for item in reply.json()["manifests"]]
    assert platforms == ["amd64", "arm64"]
    for item in reply.json()["manifests"]:
        member = registry.http.get(f"/v2/multi/manifests/{item['digest']}")
        assert member.headers["content-type"] == item["mediaType"] == OCI_MANIFEST
        assert len(member.content) == item["size"]
    single = manifest(registry, "multi", accept=DOCKER_MANIFEST)
    assert single.headers["content-type"] == DOCKER_MANIFEST
    config = registry.http.get(f"/v2/multi/blobs/{single.json()['config']['digest']}").json()
    assert config["architecture"] == "amd64"
    assert manifest(registry, "multi", accept=f"{DOCKER_LIST},{DOCKER_MANIFEST}").headers["content-type"] == DOCKER_LIST


# -- blobs ------------------------------------------------------------------------------------------------------


def test_a_blob_is_served_whole(registry: RunningRegistry) -> None:
    digest = layer_digest(registry)
    expected = registry.layers[digest.removeprefix("sha256:")]
    for name in ("env1", "default/env1"):
        reply = registry.http.get(f"/v2/{name}/blobs/{digest}")
        assert reply.status_code == 200
        assert reply.content == expected
        assert reply.headers["docker-content-digest"] == digest
        assert int(reply.headers["content-length"]) == len(expected)
        assert reply.headers["accept-ranges"] == "bytes"
        head = registry.http.head(f"/v2/{name}/blobs/{digest}")
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == reply.headers["content-length"]
        assert head.headers["docker-content-digest"] == digest
    assert registry.http.get(f"/v2/env1/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'}).status_code == 304


def test_ranges_of_a_blob(registry: RunningRegistry) -> None:
    digest = layer_digest(registry)
    whole = registry.layers[digest.removeprefix("sha256:")]
    size = len(whole)

    def get(value: str) -> httpx.Response:
        return registry.http.get(f"/v2/env1/blobs/{digest}", headers={"Range": f"bytes={value}"})

    for value, start, end in (
        ("50-149", 50, 150),
        ("50-", 50, size),
        ("-50", size - 50, size),
        (f"100-{size + 3000}", 100, size),
        ("0-0", 0, 1),
    ):
        reply = get(value)
        assert reply.status_code == 206, value
        assert reply.content == whole[start:end]
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert int(reply.headers["content-length"]) == end - start
    for value in ("50-0", f"{size}-{size + 10}"):
        assert get(value).status_code == 416, value


def test_missing_blobs_are_404(registry: RunningRegistry) -> None:
    assert_error(registry.http.get(f"/v2/env1/blobs/{MISSING}"), 404, "BLOB_UNKNOWN")
    assert registry.http.head(f"/v2/env1/blobs/{MISSING}").status_code == 404


def test_a_blob_is_served_only_under_a_repository_whose_images_name_it(registry: RunningRegistry) -> None:
    theirs = registry.admin.get("/v2/secret/env1/manifests/latest")
    digest = theirs.json()["layers"][0]["digest"]
    assert registry.admin.get(f"/v2/secret/env1/blobs/{digest}").content
    for client in (registry.http, registry.admin):
        assert_error(client.get(f"/v2/env1/blobs/{digest}"), 404, "BLOB_UNKNOWN")
        manifest_digest = theirs.headers["docker-content-digest"]
        assert_error(client.get(f"/v2/env1/manifests/{manifest_digest}"), 404, "MANIFEST_UNKNOWN")


def test_a_blob_whose_bytes_are_lost_is_told(registry: RunningRegistry) -> None:
    config = manifest(registry, "multi", accept=DOCKER_MANIFEST).json()["config"]["digest"]
    path = registry.storage.path(f"blobs/sha256/{config.removeprefix('sha256:')}")
    assert path is not None
    kept = path.read_bytes()
    path.unlink()
    try:
        assert_error(registry.http.get(f"/v2/multi/blobs/{config}"), 404, "BLOB_UNKNOWN")
    finally:
        Path(path).write_bytes(kept)


# -- lists ------------------------------------------------------------------------------------------------------


def test_tags_are_listed_in_order_and_in_pages(registry: RunningRegistry) -> None:
    every = registry.http.get("/v2/env1/tags/list").json()
    tags = every["tags"]
    assert every["name"] == "env1"
    assert {"latest", "g1", make_lock("zlib").hash} < set(tags)
    assert tags == sorted(tags)
    assert len(tags) == 5
    for tag in tags:
        assert manifest(registry, tag=tag).status_code == 200, tag
    path, seen = "/v2/env1/tags/list?n=2", []
    while path:
        reply = registry.http.get(path)
        assert len(reply.json()["tags"]) <= 2
        seen += reply.json()["tags"]
        link = reply.headers.get("link")
        path = link.split(";")[0].strip("<>") if link else ""
    assert seen == tags
    assert registry.http.get(f"/v2/env1/tags/list?last={tags[2]}").json()["tags"] == tags[3:]
    assert registry.http.get("/v2/env1/tags/list?last=zzzz").json()["tags"] == []
    nothing = registry.http.get("/v2/env1/tags/list?n=0")
    assert nothing.json()["tags"] == []
    assert "link" not in nothing.headers
    assert_error(registry.http.get("/v2/env1/tags/list?n=many"), 400, "PAGINATION_NUMBER_INVALID")


def test_referrers_are_an_empty_index_even_of_what_is_unknown(registry: RunningRegistry) -> None:
    for name in ("env1", "nope"):
        reply = registry.http.get(f"/v2/{name}/referrers/{MISSING}")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == OCI_INDEX
        assert reply.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert "oci-filters-applied" not in reply.headers
    filtered = registry.http.get(f"/v2/env1/referrers/{MISSING}?artifactType=a")
    assert filtered.headers["oci-filters-applied"] == "artifactType"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/env1/blobs/uploads/"),
        ("PUT", "/v2/env1/manifests/latest"),
        ("DELETE", f"/v2/env1/manifests/{MISSING}"),
        ("GET", "/v1/"),
    ],
)
def test_what_is_not_pulling_is_refused_in_the_registrys_json(
    registry: RunningRegistry, method: str, path: str
) -> None:
    reply = registry.http.request(method, path)
    assert reply.status_code in (404, 405)
    assert json.loads(reply.text)["errors"][0]["message"]


def test_operating_routes_answer(registry: RunningRegistry) -> None:
    assert registry.http.get("/healthz").status_code == 200
    assert registry.http.get("/readyz").status_code == 200
    assert "condarium_http_requests_total" in registry.http.get("/metrics").text
