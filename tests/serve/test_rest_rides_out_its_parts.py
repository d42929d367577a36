"""Postgres away is 503 and comes back by itself; bytes in S3 are fetched from S3."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from condarium.domain.artifact import ArtifactType
from condarium.storage import blob_key
from tests.fixtures.gateway import RunningGateway, running_gateway
from tests.fixtures.patience import CLIENT_SECONDS, patient, wait_for, within
from tests.fixtures.served import make_lock


def test_postgres_may_go_and_come_back(gateway: RunningGateway, postgres_server: Any) -> None:
    gateway.post("one")
    gateway.publish()
    seen: list[str] = []
    live = threading.Event()

    def follow() -> None:
        with (
            httpx.Client(base_url=gateway.address, timeout=CLIENT_SECONDS) as client,
            client.stream("GET", "/api/v1/events/") as reply,
        ):
            for line in reply.iter_lines():
                if line == "event: live":
                    live.set()
                if line.startswith("event: build"):
                    seen.append(line)
                    return

    follower = threading.Thread(target=follow)
    follower.start()
    assert live.wait(patient(10))
    postgres_server.stop()
    try:
        for path in ("/api/v1/build/", "/api/v1/environment/default/one/", "/api/v1/build/1/archive/?wait=1"):
            with within(4):
                away = gateway.admin.get(path)
            assert (away.status_code, away.json()["code"]) == (503, "unavailable")
            assert int(away.headers["retry-after"]) >= 1
        assert gateway.http.get("/healthz").status_code == 200
    finally:
        postgres_server.start()
    wait_for(lambda: gateway.admin.get("/api/v1/build/").status_code == 200, seconds=20, every=0.1)
    gateway.post("two")
    gateway.publish()
    follower.join(patient(20))
    assert seen == ["event: build.queued.v1"]


@pytest.fixture
def s3_gateway(database_url: str, storage_dir: Path, s3_server: Any) -> Iterator[RunningGateway]:
    with running_gateway(database_url, storage_dir, s3_server.url("gateway")) as running:
        yield running


def test_files_in_s3_are_fetched_from_s3_and_tarballs_through_the_gateway(s3_gateway: RunningGateway) -> None:
    build_id = s3_gateway.post()
    s3_gateway.solve(build_id, make_lock("zlib"))
    s3_gateway.make(build_id, ArtifactType.EXPLICIT, b"@EXPLICIT\n")
    location = s3_gateway.http.get(f"/api/v1/build/{build_id}/lockfile/?format=explicit").headers["location"]
    assert location.startswith("http://")
    assert not location.startswith(s3_gateway.address)
    fetched = httpx.get(location)
    assert (fetched.status_code, fetched.text) == (200, "@EXPLICIT\n")
    assert fetched.headers["content-type"] == "text/plain; charset=utf-8"

    parts = [b"a" * 10, b"b" * 2_500_000]
    s3_gateway.make_tarball(build_id, parts)
    location = s3_gateway.http.get(f"/api/v1/build/{build_id}/archive/").headers["location"]
    assert location.startswith("/storage/archive/")
    assert s3_gateway.http.get(location).content == b"".join(parts)
    part = s3_gateway.http.get(location, headers={"Range": "bytes=8-11"})
    assert (part.status_code, part.content) == (206, b"aabb")

    for _ in range(2):
        location = s3_gateway.http.get(f"/api/v1/build/{build_id}/archive/?single=true").headers["location"]
        assert "/gateway/archive/" in location, "an object of the bucket"
        fetched = httpx.get(location, headers={"Range": "bytes=8-11"})
        assert (fetched.status_code, fetched.content) == (206, b"aabb")
    assert httpx.get(location).content == b"".join(parts)
    assert fetched.headers["content-disposition"] == 'attachment; filename="first-1.tar.gz"'
    (key,) = [entry.key for entry in s3_gateway.storage.list("archive/")]
    s3_gateway.storage.delete(key)
    s3_gateway.storage.delete(blob_key(hashlib.sha256(parts[1]).hexdigest()))
    refused = s3_gateway.http.get(f"/api/v1/build/{build_id}/archive/?single=true")
    assert refused.status_code == 404, "its bytes are gone"
