"""In a directory and in S3: what a row names stays, what none names goes after the grace, and a rehearsal takes
nothing."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from condarium.conda.channels import ChannelSettings
from condarium.database import Database, artifacts
from condarium.domain.artifact import ArtifactType
from condarium.domain.retention import Retention
from condarium.storage import blob_key
from services.packager.handlers import Work
from services.packager.sweeping import garbage
from tests.fixtures.gateway import RunningGateway, running_gateway
from tests.fixtures.packager import packager_settings, store_tiny_base
from tests.fixtures.served import Served, make_lock, served

NOW = Retention(True, 0, 0, 0, 0, 0, 0, 0)
UNNAMED = {
    blob_key(hashlib.sha256(b"nobody's").hexdigest()): b"nobody's",
    f"archive/{'ab' * 32}-0123456789abcdef.tar.gz": b"joined once",
    "lockfile/gone.json": b"{}",
}
#: no folder of ours
FOREIGN = "mine/notes.txt"


@pytest.fixture(params=["directory", "s3"])
def content(request: pytest.FixtureRequest, database_url: str, storage_dir: Path) -> Iterator[Served]:
    url = None
    if request.param == "s3":
        url = request.getfixturevalue("s3_server").url(f"sweep-{secrets.token_hex(4)}")
    with served(database_url, storage_dir, url) as made:
        store_tiny_base(made)
        yield made


def work_of(content: Served | RunningGateway, cache: Path) -> Work:
    storage_url = content.storage_url if isinstance(content, Served) else ""
    settings = packager_settings(content.database.url, storage_url, cache)
    return Work(content.database, content.storage, settings, ChannelSettings(), owner="test")


def sweep(work: Work, retention: Retention, **more: Any) -> dict[str, Any]:
    return garbage.sweep(work, {}, retention, lambda: None, **more)


def keys(content: Served) -> set[str]:
    return {entry.key for entry in content.storage.list()}


def built(content: Served) -> int:
    """A build with an image and a lockfile."""
    build_id = content.submit("env").build_id
    content.solve(build_id, make_lock("zlib"))
    content.make_image(build_id)
    content.make(build_id, ArtifactType.LOCKFILE, b"a lockfile")
    content.complete(build_id)
    return build_id


def test_what_is_named_stays_and_the_rest_goes(content: Served, tmp_path: Path) -> None:
    work = work_of(content, tmp_path / "cache")
    build_id = built(content)
    named = keys(content)
    for key, data in {**UNNAMED, FOREIGN: b"notes"}.items():
        content.storage.put(key, data)
    sweep(work, NOW.with_grace(3600))
    assert keys(content) == named | {*UNNAMED, FOREIGN}, "it may be of somebody who has not written the row yet"

    rehearsed = garbage.rehearse(work, {}, NOW, lambda: None)
    assert keys(content) == named | {*UNNAMED, FOREIGN}
    assert marks(content.database) == 0
    freed = sweep(work, NOW)["freed"]
    assert freed == rehearsed["freed"] | {"blobs": freed["blobs"]}
    assert freed["blobs"] == {"count": len(UNNAMED), "bytes": sum(map(len, UNNAMED.values()))}
    assert freed["blobs"] == rehearsed["freed"]["blobs"]
    assert keys(content) == named | {FOREIGN}

    with content.database.transaction() as session:
        session.execute(text("update builds set deleted_on = clock_timestamp() where id = :id"), {"id": build_id})
    left = {"blobs", "artifacts"} & sweep(work, NOW)["freed"].keys()
    assert left == {"blobs", "artifacts"}
    with content.database.transaction() as session:
        base = set(session.execute(text("select layers->0->>'digest' from base_images")).scalars())
        kept = {row.key for row in artifacts.of_build(session, build_id) if row.key}
    assert keys(content) == {blob_key(digest) for digest in base} | kept | {FOREIGN}


def marks(database: Database) -> int:
    with database.transaction() as session:
        return int(session.execute(text("select count(*) from condemned where state <> 'GONE'")).scalar_one())


def test_the_archive_cache_keeps_what_was_used_lately(content: Served, tmp_path: Path) -> None:
    work, old = work_of(content, tmp_path / "cache"), time.time() - 8 * 86400
    cache = tmp_path / "cache"
    for name, used in (("ab/old.conda", old), ("cd/new.conda", None), (".spool/old", old), (".spool/new", None)):
        path = cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
        if used is not None:
            os.utime(path, (used, used))
    week = Retention(True, 0, 0, 0, 0, 7 * 86400, 0, 0)
    assert sweep(work, week)["freed"]["archives in the cache"] == {"count": 1, "bytes": 5}
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == ["new", "new.conda"]


@pytest.fixture
def s3_gateway(database_url: str, storage_dir: Path, s3_server: Any) -> Iterator[RunningGateway]:
    with running_gateway(database_url, storage_dir, s3_server.url(f"sweep-{secrets.token_hex(4)}")) as running:
        yield running


def test_a_tarball_in_one_piece_is_a_cache_that_nobody_loses_under_his_hands(
    s3_gateway: RunningGateway, tmp_path: Path
) -> None:
    parts = [b"a" * 10, b"b" * 20]
    build_id = s3_gateway.post()
    s3_gateway.solve(build_id, make_lock("zlib"))
    s3_gateway.make_tarball(build_id, parts)
    work = work_of(s3_gateway, tmp_path / "cache")

    def fetch() -> bytes:
        location = s3_gateway.http.get(f"/api/v1/build/{build_id}/archive/?single=true").headers["location"]
        return httpx.get(location).raise_for_status().content

    def an_hour_later() -> None:
        with s3_gateway.database.transaction() as session:
            session.execute(text("update condemned set condemned_on = condemned_on - interval '1 hour'"))

    def joined() -> list[str]:
        return [entry.key for entry in s3_gateway.storage.list("archive/")]

    assert fetch() == b"".join(parts)
    (key,) = joined()
    second = NOW.with_grace(1)
    time.sleep(2.1)  # S3 says when it was put, to the second
    sweep(work, second)
    assert marks(s3_gateway.database) == 1
    an_hour_later()
    assert fetch() == b"".join(parts)
    sweep(work, second)
    assert joined() == [key], "it was asked for a moment ago: the grace begins anew"
    an_hour_later()
    sweep(work, second)
    assert joined() == []
    assert fetch() == b"".join(parts)
    assert joined() == [key]
