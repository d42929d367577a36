"""Whoever names bytes that a sweep has deleted, or has begun to delete, notices, and is not held up for long."""

import hashlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text

from condarium.conda.base_image import store_layer, write_base
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE
from condarium.database import Database
from condarium.database.garbage import blobs, marks, sweeps
from condarium.domain.image import BaseImage, ImageLayer
from condarium.domain.lock import Lock
from condarium.storage.memory import MemoryStorage
from condarium.storage.port import Source, Stored
from condarium.work.sweeper import Resume, Sweeper
from services.packager.base_image import store_base
from services.packager.layers import Compiling, ensure_layers
from services.packager.sweeping import garbage
from tests.fixtures.patience import wait_for

TEXT = b"text"
KEY_OF_TEXT = f"blobs/sha256/{hashlib.sha256(TEXT).hexdigest()}"


def base_in(directory: Path) -> Path:
    written = store_layer(directory, [END_OF_ARCHIVE])
    layer = ImageLayer(written.digest, written.diff_id, written.size, "a base")
    write_base(directory, BaseImage("amd64", (layer,), {}, (), ""))
    return directory


def test_what_a_killed_sweep_has_begun_to_delete_is_ended_without_another_sweep(database: Database) -> None:
    storage = MemoryStorage()
    storage.put(KEY_OF_TEXT, TEXT)
    with database.transaction() as session:
        blobs.condemn(session, [(KEY_OF_TEXT, len(TEXT))])
        session.execute(text("update condemned set state = 'DELETING'"))
    work: Any = SimpleNamespace(database=database, storage=storage)
    sweeper = Sweeper(
        database,
        sweeps.STORAGE,
        lambda claimed, retention, beat: {},
        owner="test",
        deployment={"garbage": False},
        poll_seconds=0.05,
        resume=Resume(garbage.is_interrupted, partial(garbage.resume, work)),
    )
    sweeper.start()
    try:
        wait_for(lambda: garbage_states(database) == ["GONE"], what=lambda: f"GONE: {garbage_states(database)}")
    finally:
        sweeper.stop()
    assert storage.stat(KEY_OF_TEXT) is None


def garbage_states(database: Database) -> list[str]:
    with database.transaction() as session:
        return list(session.execute(text("select state from condemned where kind = 'blob'")).scalars())


class Losing(MemoryStorage):
    """A sweep deletes what is put, before anything names it."""

    def put(self, key: str, source: Source) -> Stored:
        stored = super().put(key, source)
        self.delete(key)
        return stored


@pytest.mark.parametrize("what", ["base image", "top layer"])
def test_bytes_that_were_deleted_after_they_were_put_are_not_named(
    database: Database, tmp_path: Path, what: str
) -> None:
    directory, lock = base_in(tmp_path), Lock("linux-64", (), (), (), ())

    def make(storage: MemoryStorage) -> None:
        if what == "base image":
            store_base(database, storage, directory)
        else:
            work: Any = SimpleNamespace(database=database, storage=storage)
            ensure_layers(work, cast(Any, None), lock, [], compiling=Compiling(), lost=lambda: False)

    storage = MemoryStorage()
    make(storage)
    with database.transaction() as session:
        session.execute(text("delete from pieces"))
        session.execute(text("delete from base_images"))
        blobs.condemn(session, [(entry.key, entry.size) for entry in storage.list()])
        session.execute(text("update condemned set state = 'GONE'"))
    with pytest.raises(marks.Deleting):
        make(Losing())


def test_a_base_image_whose_bytes_have_gone_is_stored_again_at_the_next_start(
    database: Database, tmp_path: Path
) -> None:
    directory, storage = base_in(tmp_path), MemoryStorage()
    store_base(database, storage, directory)
    keys = [entry.key for entry in storage.list()]
    for key in keys:
        storage.delete(key)
    store_base(database, storage, directory)
    assert [entry.key for entry in storage.list()] == keys != []
