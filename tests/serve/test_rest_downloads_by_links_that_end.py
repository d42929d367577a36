"""Downloads: redirects to signed addresses, ranges, conditions, HEAD; tarballs put together while they are sent."""

import hashlib
import threading
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from condarium.database import archives, builds
from condarium.domain.artifact import ArtifactType
from condarium.storage import blob_key, signing
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import wait_for
from tests.fixtures.served import make_lock

LOCKFILE = b'{"version": 1}'


def solved(gateway: RunningGateway, name: str = "first") -> int:
    build_id = gateway.post(name)
    gateway.solve(build_id, make_lock("zlib"))
    return build_id


def link(gateway: RunningGateway, path: str, method: str = "GET") -> str:
    reply = gateway.http.request(method, path)
    assert reply.status_code == 307, reply.text
    return reply.headers["location"]


@pytest.mark.parametrize("prefix", ["", "/conda-store"])
def test_an_artifact_is_a_redirect_to_its_bytes(gateway: RunningGateway, prefix: str) -> None:
    build_id = solved(gateway)
    gateway.make(build_id, ArtifactType.LOCKFILE, LOCKFILE)
    gateway.complete(build_id)
    for path in (
        f"build/{build_id}/lockfile/",
        f"build/{build_id}/lockfile",
        f"build/{build_id}/lockfile/?format=json",
        f"build/{build_id}/conda-lock.yml",
        f"build/{build_id}/conda-lock.yaml",
        f"build/{build_id}/artifact/LOCKFILE/",
        "environment/default/first/lockfile/",
        "environment/default/first/conda-lock.yml",
        "environment/default/first/conda-lock.yaml",
    ):
        location = link(gateway, f"{prefix}/api/v1/{path}")
        assert location.startswith(f"{prefix}/storage/blobs/sha256/"), path
        reply = gateway.http.get(location)
        assert (reply.status_code, reply.content) == (200, LOCKFILE)
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["content-length"] == str(len(LOCKFILE))
        assert "content-disposition" not in reply.headers


def test_each_format_is_its_own_artifact(gateway: RunningGateway) -> None:
    build_id = solved(gateway)
    for kind, text in ((ArtifactType.EXPLICIT, b"@EXPLICIT\n"), (ArtifactType.CONDA_LOCK, b"version: 1\n")):
        gateway.make(build_id, kind, text)
    gateway.make(build_id, ArtifactType.RATTLER_LOCK, b"version: 6\n")
    gateway.make(build_id, ArtifactType.YAML, b"name: first\n")
    for path, text in (
        ("lockfile/?format=explicit", "@EXPLICIT\n"),
        ("lockfile/?format=conda-lock", "version: 1\n"),
        ("lockfile/?format=pixi", "version: 6\n"),
        ("lockfile/?format=rattler", "version: 6\n"),
        ("lockfile/?format=environment", "name: first\n"),
        ("yaml/", "name: first\n"),
    ):
        reply = gateway.http.get(link(gateway, f"/api/v1/build/{build_id}/{path}"))
        assert reply.text == text
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    refused = gateway.http.get(f"/api/v1/build/{build_id}/lockfile/?format=toml")
    assert refused.status_code == 400
    assert "explicit" in refused.json()["message"]
    assert gateway.http.get(f"/api/v1/build/{build_id}/archive/?format=rar").status_code == 400
    assert gateway.http.get(f"/api/v1/build/{build_id}/artifact/NONSENSE/").status_code == 404


def test_a_link_is_good_for_its_own_bytes_and_not_for_long(gateway: RunningGateway) -> None:
    build_id = solved(gateway)
    gateway.make(build_id, ArtifactType.LOCKFILE, LOCKFILE)
    gateway.storage.put("logs/other.log", b"secret")
    location = link(gateway, f"/api/v1/build/{build_id}/lockfile/")
    parts = urlsplit(location)
    query = dict(parse_qsl(parts.query))
    assert 50 < int(query["expires"]) - time.time() <= 61
    assert gateway.http.get(f"/storage/logs/other.log?{parts.query}").status_code == 403
    for name, value in (("expires", str(int(query["expires"]) + 9)), ("filename", "x"), ("signature", "0" * 64)):
        assert gateway.http.get(f"{parts.path}?{urlencode({**query, name: value})}").status_code == 403
    assert gateway.http.get(parts.path).status_code == 403
    over = signing.sign(parts.path, b"s3cret", int(time.time()) - 1)
    late = gateway.http.get(f"{parts.path}?{over}")
    assert late.status_code == 403
    assert "ask for a new one" in late.json()["message"]
    assert gateway.admin.get("/storage/logs/other.log").content == b"secret"
    assert gateway.admin.get("/storage/logs/nothing.log").status_code == 404
    for wrong in ("../secret", "a/../../b", "%2e%2e/x", ".staging/x", "a//b", "%00"):
        assert gateway.admin.get(f"/storage/{wrong}").status_code in (400, 404, 422), wrong


def test_ranges_conditions_and_head(gateway: RunningGateway) -> None:
    content = bytes(range(256)) * 40
    build_id = solved(gateway)
    gateway.make(build_id, ArtifactType.LOCKFILE, content)
    location = link(gateway, f"/api/v1/build/{build_id}/lockfile/")
    http = gateway.http
    head = http.head(location)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["accept-ranges"] == "bytes"
    etag = head.headers["etag"]
    for header, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, len(content)),
        ("bytes=-5", len(content) - 5, len(content)),
        ("bytes=10000-99999999", 10000, len(content)),
        (f"bytes=-{10**15}", 0, len(content)),
    ):
        part = http.get(location, headers={"Range": header})
        assert (part.status_code, part.content) == (206, content[start:end]), header
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"
        assert part.headers["content-length"] == str(end - start)
    for header in ("bytes=99999999-", "bytes=-0"):
        beyond = http.get(location, headers={"Range": header})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    for header in ("bytes=1-2,5-6", "bytes=9-1", "lines=1-2", "bytes=x-", "bytes=-", f"bytes={'9' * 50}-", "bytes=٣-"):
        whole = http.get(location, headers=[(b"range", header.encode())])
        assert (whole.status_code, whole.content) == (200, content), header
    assert http.get(location, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    assert http.get(location, headers={"If-Range": '"other"', "Range": "bytes=0-1"}).status_code == 200
    assert http.get(location, headers={"If-Range": etag, "Range": "bytes=0-1"}).status_code == 206


def store_tarball(gateway: RunningGateway, build_id: int, parts: list[bytes], codec: archives.Codec) -> str:
    kind = ArtifactType.CONDA_PACK if codec == "gz" else ArtifactType.CONDA_PACK_ZST
    listed = []
    for part in parts:
        digest = hashlib.sha256(part).hexdigest()
        gateway.storage.put(blob_key(digest), part)
        listed.append((digest, len(part)))
    held = gateway.claim(build_id, kind)
    with gateway.database.transaction() as session:
        from condarium.database import artifacts

        lock_hash = builds.lock_hashes(session, build_id)["linux-64"]
        tarball = archives.store(session, lock_hash, codec, format="1", parts=listed)
        artifacts.ready(session, held, builds.load(session, build_id), digest=lock_hash, size=tarball.size)
    return lock_hash


def test_a_tarball_is_sent_out_of_its_members(gateway: RunningGateway) -> None:
    build_id = solved(gateway)
    parts = [bytes([number]) * (number * 1000 + 1) for number in range(40)] + [b"x" * 3_000_000]
    whole = b"".join(parts)
    lock_hash = store_tarball(gateway, build_id, parts, "gz")
    for path in ("archive/", "archive/?format=gz", "archive.tar.gz"):
        location = link(gateway, f"/api/v1/build/{build_id}/{path}")
        assert location.startswith(f"/storage/archive/{lock_hash}.tar.gz?")
    reply = gateway.http.get(location)
    assert reply.content == whole
    assert reply.headers["content-length"] == str(len(whole))
    assert reply.headers["content-type"] == "application/gzip"
    assert reply.headers["content-disposition"] == 'attachment; filename="first-1.tar.gz"'
    for start, end in ((0, 1), (500, 60_000), (len(whole) - 3_000_001, len(whole))):
        part = gateway.http.get(location, headers={"Range": f"bytes={start}-{end - 1}"})
        assert (part.status_code, part.content) == (206, whole[start:end])
    # It is good again with another link: the identity is that of the bytes.
    second = link(gateway, f"/api/v1/build/{build_id}/archive/")
    again = gateway.http.get(second, headers={"If-Range": reply.headers["etag"], "Range": "bytes=7-"})
    assert (again.status_code, again.content) == (206, whole[7:])
    other = gateway.http.get(f"/api/v1/build/{build_id}/archive/?platform=win-64")
    assert other.status_code == 404
    assert other.json()["message"] == f"build {build_id} has no CONDA_PACK for 'win-64'; its platforms are linux-64"
    store_tarball(gateway, build_id, [b"zstd"], "zst")
    for path in ("archive/?format=zst", "archive.tar.zst"):
        reply = gateway.http.get(link(gateway, f"/api/v1/build/{build_id}/{path}"))
        assert (reply.content, reply.headers["content-type"]) == (b"zstd", "application/zstd")
    assert gateway.admin.get(f"/storage/archive/{'0' * 64}.tar.gz").status_code == 404
    assert gateway.admin.get("/storage/archive/x.tar.exe").status_code == 404


def test_a_client_that_goes_leaves_no_open_file(gateway: RunningGateway) -> None:
    build_id = solved(gateway)
    store_tarball(gateway, build_id, [b"y" * 30_000_000], "gz")
    location = link(gateway, f"/api/v1/build/{build_id}/archive/")
    before = threading.active_count()
    for _ in range(5):
        with httpx.Client(base_url=gateway.address) as client, client.stream("GET", location) as reply:
            next(reply.iter_raw(1000))
    wait_for(lambda: not _open_blobs(), what=lambda: f"files to be closed: {_open_blobs()}")
    assert threading.active_count() <= before + 20


def _open_blobs() -> list[str]:
    import os

    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if "/blobs/sha256/" in target:
            found.append(target)
    return found
