"""The symlink of an environment is a rendering of its row: whatever happens to it on the disk is mended."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from condarium.database import Database, builds, environments, leases, stores
from condarium.database.tables import Build
from condarium.domain.build import Status
from condarium.domain.specification import parse
from condarium.work.submission import submit
from services.builder import symlink
from services.builder.store import open_store

Complete = Callable[..., int]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def complete(database: Database, store: Path) -> Complete:
    """Submits an environment and completes the build at once, with a prefix of that hash; gives the build's id."""
    found = open_store(store)
    with database.transaction() as session:
        store_id = stores.register(session, found.uuid, str(store))

    def complete(name: str, lock_hash: str) -> int:
        specification = parse(f"name: {name}\ndependencies: [python]\n", check_match_spec=lambda spec: None)
        with database.transaction() as session:
            submitted = submit(session, specification, namespace="default", actor="me", source="api")
        with database.transaction() as session:
            held = leases.claim(session, builds.CLAIMABLE, owner="me", lease_seconds=60)
            assert held is not None
            environment = environments.lock_row(session, submitted.environment_id)
            build = builds.load_claimed(session, held)
            build.prefix_id = stores.record_prefix(
                session,
                store_id=store_id,
                namespace_id=environment.namespace_id,
                lock_hash=lock_hash,
                name=name,
                path=f"default/{lock_hash}-{name}",
                size=1,
                actor="me",
            )
            builds.move(session, build, Status.COMPLETED)
            session.flush()
            environments.point_to(session, environment, build, actor="me", source="builder")
        return submitted.build_id

    return complete


def links(store: Path) -> dict[str, str]:
    folder = store / "default" / "envs"
    return {link.name: os.readlink(link) for link in folder.glob("[!.]*") if link.is_symlink()}


def test_every_symlink_is_mended_whatever_stands_in_the_way_of_one(
    database: Database, store: Path, complete: Complete
) -> None:
    for name in ("a", "b", "c"):
        complete(name, f"hash{name}")
    symlink.render_all(database, store)
    folder = store / "default" / "envs"
    good = {"a": "../hasha-a", "b": "../hashb-b", "c": "../hashc-c"}
    assert links(store) == good
    (folder / "a").unlink()
    (folder / "a").mkdir()
    (folder / "a" / "file").touch()  # a directory that somebody put there
    (folder / "b").unlink()
    (folder / "c").unlink()
    (folder / "c").symlink_to("elsewhere")
    (folder / "gone").symlink_to("../hash-gone")
    (folder / ".b.fresh").symlink_to("left by a killed builder")
    symlink.render_all(database, store)
    assert links(store) == {"b": good["b"], "c": good["c"]}
    assert (folder / "a" / "file").exists()
    assert not (folder / ".b.fresh").is_symlink()


def test_the_symlink_follows_a_rollback_a_deletion_and_a_name_used_again(
    database: Database, store: Path, complete: Complete
) -> None:
    first, _ = complete("env", "one"), complete("env", "two")
    symlink.render(database, store, "default", "env")
    assert links(store) == {"env": "../two-env"}
    with database.transaction() as session:
        environment = environments.load(session, "default", "env", lock=True)
        environments.roll_back(session, environment, session.get_one(Build, first), actor="me")
    symlink.render(database, store, "default", "env")
    assert links(store) == {"env": "../one-env"}
    with database.transaction() as session:
        environments.delete(session, environments.load(session, "default", "env", lock=True), actor="me")
    complete("env", "three")
    symlink.render(database, store, "default", "env")  # the event of the deletion, which comes late
    assert links(store) == {"env": "../three-env"}
    with database.transaction() as session:
        environments.delete(session, environments.load(session, "default", "env", lock=True), actor="me")
    symlink.render(database, store, "default", "env")
    assert links(store) == {}
