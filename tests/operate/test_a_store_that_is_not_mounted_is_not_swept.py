"""An empty mount point looks as if all prefixes were gone: no row may go for that."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from condarium import config
from condarium.database import stores
from condarium.domain.retention import Retention
from condarium.errors import WorldFault
from services.builder import handlers as builder
from services.builder.config import Settings
from services.builder.relinking import Relinker
from services.builder.store import Store, open_store
from services.builder.sweeping import prefixes, verifying
from tests.fixtures.served import Served

PATH = "default/0123456789ab-env"
KEEP = Retention(True, 0, 0, 0, 3600, 0, 0, 0)


def test_its_rows_stay(content: Served, tmp_path: Path) -> None:
    content.submit("env")
    values = {
        "CONDARIUM_DATABASE_URL": content.database.url,
        "CONDARIUM_AMQP_URL": "amqp://127.0.0.1:9",
        "CONDARIUM_SECRET": "a-builder-of-tests",
        "CONDARIUM_STORE": str(tmp_path / "store"),
    }
    found = open_store(tmp_path / "store")
    with content.database.transaction() as session:
        store = Store(found.directory, found.uuid, stores.register(session, found.uuid, str(found.directory)))
        stores.record_prefix(
            session,
            store_id=store.id,
            namespace_id=session.execute(text("select namespace_id from builds")).scalar_one(),
            lock_hash="0" * 64,
            name="env",
            path=PATH,
            size=1,
            actor="test",
        )
    (store.directory / PATH).mkdir(parents=True)
    work = builder.Work(content.database, config.load(Settings, values), store, owner="test")
    store.directory.rename(tmp_path / "elsewhere")
    store.directory.mkdir()
    with pytest.raises(WorldFault, match="mounted"):
        prefixes.sweep(work, os.environ, KEEP, lambda: None)
    with content.database.transaction() as session:
        session.execute(text("update builds set prefix_id = (select id from prefixes)"))
    with pytest.raises(WorldFault, match="mounted"):
        verifying.verify(
            work, os.environ, Relinker(work, lambda: pytest.fail("linked")), {"repair": True}, lambda: None
        )
    with content.database.transaction() as session:
        assert session.execute(text("select deleted_on from prefixes")).scalars().all() == [None]
