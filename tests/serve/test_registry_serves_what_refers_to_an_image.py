"""Referrers through the registry: listed, filtered, paged, by fallback tag, by digest; never out of another's build."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from condarium.domain import referrers as media
from condarium.domain.image.index import OCI_INDEX
from services.registry import referrers as serving
from tests.fixtures.containers import Client
from tests.fixtures.referrers import file_of, listed, publish, referring, rich_lock, wait_until_made
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock

EVERY_TYPE = {
    media.SPDX,
    media.CYCLONEDX,
    media.EXPLICIT,
    media.CONDA_LOCK,
    media.RATTLER_LOCK,
    media.SPECIFICATION,
    media.LOG,
    media.CHANGES_MARKDOWN,
    media.CHANGES_JSON,
    media.BUNDLE,
}


@pytest.fixture(scope="module")
def _module_database(postgres_server: object, migrated_template: str) -> Iterator[str]:
    from tests.fixtures.infrastructure import _database

    yield from _database(postgres_server, f'TEMPLATE "{migrated_template}"')  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def registry(_module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """`env`, and `secret/env` of the same lock; `multi` for two platforms."""
    directory = tmp_path_factory.mktemp("referrers")
    with running_registry(_module_database, directory / "storage") as running, referring(running, directory / "cache"):
        ours = publish(running, "env", rich_lock(), log="the public log\n")
        theirs = publish(running, "env", rich_lock(), namespace="secret", log="the hidden log\n")
        multi = publish(running, "multi", make_lock("a"), make_lock("a", "linux-aarch64"))
        for build_id, _ in (ours, theirs, multi):
            wait_until_made(running, build_id)
        yield running


def subject(registry: RunningRegistry, name: str, accept: str = "*/*") -> str:
    reply = registry.admin.get(f"/v2/{name}/manifests/latest", headers={"Accept": accept})
    return str(reply.headers["docker-content-digest"]).removeprefix("sha256:")


def test_every_kind_is_listed_with_its_annotations(registry: RunningRegistry) -> None:
    digest = subject(registry, "env")
    found = listed(registry.http, "env", digest)
    assert {one["artifactType"] for one in found} == EVERY_TYPE
    assert [one["digest"] for one in found] == sorted({one["digest"] for one in found})
    for one in found:
        reply = registry.http.get(f"/v2/env/manifests/{one['digest']}")
        manifest = reply.json()
        assert reply.headers["content-type"] == one["mediaType"] == manifest["mediaType"]
        assert reply.headers["docker-content-digest"] == one["digest"]
        assert f"sha256:{hashlib.sha256(reply.content).hexdigest()}" == one["digest"]
        assert manifest["subject"]["digest"] == f"sha256:{digest}"
        assert manifest["artifactType"] == one["artifactType"]
        assert manifest["annotations"] == one["annotations"]
        for blob in (manifest["config"], *manifest["layers"]):
            body = registry.http.get(f"/v2/env/blobs/{blob['digest']}").content
            assert f"sha256:{hashlib.sha256(body).hexdigest()}" == blob["digest"]
    titles = {one["annotations"].get("org.opencontainers.image.title") for one in found}
    assert {"sbom.spdx.json", "pixi.lock", "conda-lock.yml", "explicit-linux-64.txt", "build.log"} <= titles


def test_a_filter_is_applied_and_named(registry: RunningRegistry) -> None:
    digest = subject(registry, "env")
    reply = registry.http.get(f"/v2/env/referrers/sha256:{digest}", params={"artifactType": media.SPDX})
    assert reply.headers["oci-filters-applied"] == "artifactType"
    assert [one["artifactType"] for one in reply.json()["manifests"]] == [media.SPDX]
    nothing = registry.http.get(f"/v2/env/referrers/sha256:{digest}", params={"artifactType": "no/such"})
    assert nothing.json()["manifests"] == []
    assert "oci-filters-applied" not in registry.http.get(f"/v2/env/referrers/sha256:{digest}").headers


@pytest.mark.parametrize("name", ["env", "no-such-environment"])
def test_an_unknown_digest_has_an_empty_index(registry: RunningRegistry, name: str) -> None:
    reply = registry.http.get(f"/v2/{name}/referrers/sha256:{'ab' * 32}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == OCI_INDEX
    assert reply.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert registry.http.head(f"/v2/{name}/referrers/sha256:{'ab' * 32}").headers["content-length"] == str(
        len(reply.content)
    )


def test_what_is_no_digest_is_refused(registry: RunningRegistry) -> None:
    reply = registry.http.get("/v2/env/referrers/sha256:short")
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["code"] == "DIGEST_INVALID"
    reply = registry.http.get(f"/v2/env/referrers/sha256:{'ab' * 32}", params={"last": "no digest"})
    assert reply.status_code == 400


def test_many_come_in_pages(registry: RunningRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = subject(registry, "env")
    whole = listed(registry.http, "env", digest)
    monkeypatch.setattr(serving, "PAGE", 5)
    address: str | None = f"/v2/env/referrers/sha256:{digest}"
    found, pages = [], 0
    while address:
        reply = registry.http.get(address)
        found += reply.json()["manifests"]
        pages += 1
        link = reply.headers.get("link")
        address = link[1 : link.index(">")] if link else None
    assert found == whole
    assert pages == -(-len(whole) // 5)
    filtered = registry.http.get(f"/v2/env/referrers/sha256:{digest}", params={"artifactType": media.BUNDLE})
    assert "link" not in filtered.headers


def test_old_clients_find_the_list_at_a_tag(registry: RunningRegistry) -> None:
    digest = subject(registry, "env")
    reply = registry.http.get(f"/v2/env/manifests/sha256-{digest}")
    assert reply.headers["content-type"] == OCI_INDEX
    assert reply.json()["manifests"] == listed(registry.http, "env", digest)
    assert reply.headers["docker-content-digest"] == f"sha256:{hashlib.sha256(reply.content).hexdigest()}"
    for tag in (f"sha256-{'ab' * 32}", f"sha256-{'ab' * 32}.sig"):
        missing = registry.http.get(f"/v2/env/manifests/{tag}")
        assert missing.status_code == 404
        assert missing.json()["errors"][0]["code"] == "MANIFEST_UNKNOWN"


def test_every_manifest_and_every_index_has_its_own(registry: RunningRegistry) -> None:
    index = registry.http.get("/v2/multi/manifests/latest", headers={"Accept": OCI_INDEX})
    assert index.headers["content-type"] == OCI_INDEX
    members = [one["digest"].removeprefix("sha256:") for one in index.json()["manifests"]]
    of_index = listed(registry.http, "multi", subject(registry, "multi", OCI_INDEX))
    assert {one["artifactType"] for one in of_index} == EVERY_TYPE
    platforms = []
    for digest in members:
        found = listed(registry.http, "multi", digest)
        assert {one["artifactType"] for one in found} == EVERY_TYPE
        explicit = next(one for one in found if one["artifactType"] == media.EXPLICIT)
        platforms.append(explicit["annotations"]["condarium.platform"])
        spdx = next(one for one in found if one["artifactType"] == media.SPDX)
        assert f"subdir={platforms[-1]}" in file_of(registry.http, "multi", spdx).decode()
    assert sorted(platforms) == ["linux-64", "linux-aarch64"]
    spdx = next(one for one in of_index if one["artifactType"] == media.SPDX)
    both = file_of(registry.http, "multi", spdx).decode()
    assert "subdir=linux-64" in both
    assert "subdir=linux-aarch64" in both
    # what clients without OCI pull has referrers, too
    docker = subject(registry, "multi", "application/vnd.docker.distribution.manifest.list.v2+json")
    assert {one["artifactType"] for one in listed(registry.http, "multi", docker)} == EVERY_TYPE


def test_the_same_image_elsewhere_shows_nothing_of_the_build(registry: RunningRegistry) -> None:
    digest = subject(registry, "env")
    assert digest == subject(registry, "secret/env")
    ours, theirs = listed(registry.http, "env", digest), listed(registry.admin, "secret/env", digest)
    mine = {one["digest"]: one for one in ours}
    foreign = [one for one in theirs if one["digest"] not in mine]
    assert {one["artifactType"] for one in foreign} >= {media.LOG, media.BUNDLE}
    for one in foreign:
        assert registry.http.get(f"/v2/env/manifests/{one['digest']}").status_code == 404
        manifest = registry.admin.get(f"/v2/secret/env/manifests/{one['digest']}").json()
        for layer in manifest["layers"]:
            reply = registry.http.get(f"/v2/env/blobs/{layer['digest']}")
            assert reply.status_code == 404, one
            assert reply.json()["errors"][0]["code"] == "BLOB_UNKNOWN"
    log = next(one for one in ours if one["artifactType"] == media.LOG)
    assert file_of(registry.http, "env", log) == b"the public log\n"
    hidden = next(one for one in theirs if one["artifactType"] == media.LOG)
    assert file_of(registry.admin, "secret/env", hidden) == b"the hidden log\n"
    # bills of the same locks are the same, and say nothing of who built them
    assert {one["digest"] for one in theirs} & set(mine)


@pytest.mark.parametrize("path", ["referrers/sha256:{}", "manifests/sha256-{}", "manifests/sha256-{}.sig"])
def test_who_may_not_pull_sees_none(registry: RunningRegistry, path: str) -> None:
    digest = subject(registry, "secret/env")
    reply = registry.http.get(f"/v2/secret/env/{path.format(digest)}")
    assert reply.status_code == 401
    assert reply.json()["errors"][0]["code"] == "UNAUTHORIZED"


@pytest.mark.client("skopeo")
def test_skopeo_copies_a_referrer_by_its_digest(registry: RunningRegistry, skopeo: Client, tmp_path: Path) -> None:
    digest = subject(registry, "env")
    (spdx,) = listed(registry.http, "env", digest, artifactType=media.SPDX)
    source = f"docker://{registry.address}/env@{spdx['digest']}"
    skopeo.run("copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/spdx")
    manifest = json.loads((tmp_path / "spdx/manifest.json").read_text())
    layer = manifest["layers"][0]["digest"].removeprefix("sha256:")
    assert json.loads((tmp_path / "spdx" / layer).read_text())["spdxVersion"] == "SPDX-2.3"
