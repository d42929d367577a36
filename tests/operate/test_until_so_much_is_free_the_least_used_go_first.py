"""`gc --until-free`: least recently used first, no more than is wanted, and never what is needed."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from condarium import config
from condarium.conda.channels import ChannelSettings
from condarium.database import pieces, stores
from condarium.domain.naming import prefix_name
from condarium.domain.retention import Retention
from condarium.storage import blob_key
from services.builder import handlers as builder
from services.builder.config import Settings as BuilderSettings
from services.builder.store import Store, open_store
from services.builder.sweeping import prefixes
from services.packager.handlers import Work
from services.packager.sweeping import garbage
from tests.fixtures.packager import ROOT, packager_settings, store_tiny_base
from tests.fixtures.served import Served, make_lock, served

NOW = Retention(True, 0, 0, 0, 0, 0, 0, 0)
PIECES = 25


@pytest.fixture
def content(database_url: str, storage_dir: Path) -> Iterator[Served]:
    with served(database_url, storage_dir) as made:
        store_tiny_base(made)
        yield made


def many_pieces(content: Served) -> list[str]:
    """Keys of pieces that nobody needs, the least recently used first: in no order of their keys."""
    found = []
    for number in range(PIECES):
        data = b"%d" % number
        digest = hashlib.sha256(data).hexdigest()
        content.storage.put(blob_key(digest), data)
        with content.database.transaction() as session:
            pieces.record(session, pieces.Known(f"key-{number}", digest, len(data), {}), kind="layer")
            session.execute(
                text("update pieces set used_on = clock_timestamp() - make_interval(hours => :ago) where key = :key"),
                {"ago": PIECES - number, "key": f"key-{number}"},
            )
        found.append(blob_key(digest))
    return found


def test_pieces_go_until_enough_is_free(content: Served, tmp_path: Path) -> None:
    settings = packager_settings(content.database.url, content.storage_url, tmp_path / "cache")
    work = Work(content.database, content.storage, settings, ChannelSettings(), owner="test")
    needed = {entry.key for entry in content.storage.list()}
    garbage_keys = many_pieces(content)

    def there() -> set[str]:
        return {entry.key for entry in content.storage.list()}

    def free() -> float:
        """Each piece is a hundredth of the disk, and half of it is something else's."""
        return 0.5 - (len(there()) - len(needed)) / 100

    def sweep(share: float) -> dict[str, Any]:
        report = garbage.sweep(work, {}, NOW, lambda: None, until_free=share, free=free)
        return dict(report["freed"])

    assert free() == 0.25
    assert "blobs" not in sweep(0.2), "so much is free already"
    assert sweep(0.30)["blobs"]["count"] == garbage.BETWEEN_LOOKS
    assert there() == needed | set(garbage_keys[garbage.BETWEEN_LOOKS :])
    assert sweep(0.9)["blobs"]["count"] == PIECES - garbage.BETWEEN_LOOKS
    assert there() == needed, "however much is wanted"


def store_work(content: Served, tmp_path: Path) -> builder.Work:
    settings = config.load(
        BuilderSettings,
        {
            "CONDARIUM_DATABASE_URL": content.database.url,
            "CONDARIUM_AMQP_URL": "amqp://127.0.0.1:9",
            "CONDARIUM_SECRET": "a-builder-of-tests",
            "CONDARIUM_STORE": str(tmp_path / "store"),
        },
    )
    found = open_store(settings.store)
    with content.database.transaction() as session:
        store = Store(found.directory, found.uuid, stores.register(session, found.uuid, str(found.directory)))
    return builder.Work(content.database, settings, store, owner="test")


def link(content: Served, work: builder.Work, name: str, number: int, *, hours_ago: int) -> Path:
    """A completed build with a prefix."""
    build_id = content.submit(name).build_id
    lock = make_lock(f"{name}{number}")
    content.solve(build_id, lock)
    path = f"default/{prefix_name(lock.hash, name)}"
    (work.store.directory / path).mkdir(parents=True)
    (work.store.directory / path / "file").write_text("x" * 100)
    with content.database.transaction() as session:
        (namespace_id,) = session.execute(text("select namespace_id from builds")).first() or (0,)
        prefix_id = stores.record_prefix(
            session,
            store_id=work.store.id,
            namespace_id=namespace_id,
            lock_hash=lock.hash,
            name=name,
            path=path,
            size=100,
            actor="test",
        )
        session.execute(
            text("update builds set prefix_id = :prefix where id = :id"), {"prefix": prefix_id, "id": build_id}
        )
    content.complete(build_id)
    with content.database.transaction() as session:
        session.execute(
            text("update builds set ended_on = clock_timestamp() - make_interval(hours => :ago) where id = :id"),
            {"ago": hours_ago, "id": build_id},
        )
    return work.store.directory / path


def test_prefixes_go_until_enough_is_free(content: Served, tmp_path: Path) -> None:
    work = store_work(content, tmp_path)
    ages = (2, 5, 3, 4)
    old = {hours: link(content, work, "env", hours, hours_ago=hours) for hours in ages}
    current = link(content, work, "env", 99, hours_ago=9)
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}

    def free(store: Path) -> float:
        """Each prefix is a tenth of the disk, also while it lies in the trash."""
        return 1 - len([*store.glob("default/*-env"), *store.glob(".trash/*")]) / 10

    def sweep(share: float, **more: Any) -> dict[str, Any]:
        report = prefixes.sweep(work, environ, NOW, lambda: None, until_free=share, free=free, **more)
        return dict(report["freed"])

    def left() -> set[int]:
        return {hours for hours, path in old.items() if path.exists()}

    assert sweep(0.5) == {}
    assert sweep(0.7)["prefixes"] == {"count": 2, "bytes": 200}
    assert left() == {2, 3}, "those of five and of four hours ago are gone"
    assert sweep(0.99)["prefixes"]["count"] == 2
    assert left() == set()
    assert current.exists(), "it is old, and the current one"
