"""A watched file is submitted as everything is: settings fill in and refuse, the quota makes it wait."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from condarium.database import Database, builds, namespaces, settings
from condarium.database.settings import Place
from condarium.database.tables import Build, Outbox
from services.watcher import handlers, sources
from services.watcher.handlers import Outcome
from services.watcher.listener import Listener
from services.watcher.watching import Watching
from tests.fixtures.patience import wait_for

FILE = "name: env\nchannels: [conda-forge]\ndependencies: [python]\n"


@pytest.fixture
def source(tmp_path: Path) -> sources.Source:
    return sources.Source("team", tmp_path / "environment.yml")


def put(database: Database, **values: Any) -> None:
    with database.transaction() as session:
        space = namespaces.ensure(session, "team", actor="test")
        settings.change(session, Place(space.id), values, actor="test")


def take(database: Database, source: sources.Source, text: str, **deployment: Any) -> Outcome:
    return handlers.take(database, source, text.encode(), platforms=("linux-64",), deployment=deployment)


def told(database: Database) -> list[str]:
    with database.transaction() as session:
        query = select(Outbox.data).where(Outbox.routing_key == "specification.invalid.v1").order_by(Outbox.id)
        return [data["message"] for data in session.execute(query).scalars()]


def last(database: Database) -> Build:
    with database.transaction() as session:
        newest = session.execute(select(Build.id).order_by(Build.id.desc()).limit(1)).scalar_one()
        return builds.load(session, newest)


def test_settings_fill_in_what_a_file_leaves_open(database: Database, source: sources.Source) -> None:
    put(database, conda_included_packages=["zlib"], conda_default_packages=["python"], build_artifacts=["LOGS"])
    assert take(database, source, "name: env\n", conda_default_channels=["mine"]) == Outcome.SUBMITTED
    assert last(database).specification.spec["channels"] == ["mine"]
    assert last(database).specification.spec["dependencies"] == ["python", "zlib"]
    assert last(database).settings["build_artifacts"] == ["LOGS"]
    assert take(database, source, "name: env\n\n", conda_default_channels=["mine"]) == Outcome.SAME


def test_settings_refuse_a_file_once_and_say_why(database: Database, source: sources.Source) -> None:
    put(database, conda_allowed_channels=["mine"])
    assert take(database, source, FILE) == Outcome.INVALID
    assert take(database, source, FILE) == Outcome.INVALID
    (message,) = told(database)
    assert message == "the channel conda-forge is not allowed; allowed here are mine (setting conda_allowed_channels)"
    assert take(database, source, FILE.replace("conda-forge", "mine")) == Outcome.SUBMITTED


def test_a_full_namespace_makes_a_file_wait_until_there_is_room(database: Database, source: sources.Source) -> None:
    put(database, quota_builds=0)
    assert take(database, source, FILE) == Outcome.WAITS
    assert take(database, source, FILE) == Outcome.WAITS
    (message,) = told(database)
    assert message.startswith("the namespace team has 0 builds, and its quota is 0")
    put(database, quota_builds=1)
    assert take(database, source, FILE) == Outcome.SUBMITTED
    assert take(database, source, FILE) == Outcome.SAME


def test_a_newer_version_takes_the_place_of_the_waiting_one_within_the_quota(
    database: Database, source: sources.Source
) -> None:
    put(database, quota_concurrent_builds=1)
    take(database, source, FILE)
    assert take(database, source, FILE.replace("python", "zlib")) == Outcome.SUBMITTED
    with database.transaction() as session:
        assert list(session.execute(select(Build.status).order_by(Build.id)).scalars()) == ["CANCELED", "QUEUED"]


def test_what_waits_is_read_again_though_nobody_touches_it(database: Database, tmp_path: Path) -> None:
    directory = tmp_path / "specs"
    directory.mkdir()
    (directory / "environment.yml").write_text(FILE)
    put(database, quota_builds=0)
    seen: list[Outcome] = []

    def read(source: sources.Source, content: bytes) -> Outcome:
        seen.append(handlers.take(database, source, content, platforms=("linux-64",)))
        return seen[-1]

    watching = Watching({"team": (directory,)}, read, Listener("never"), 0.1, 0.5)
    watching.start()
    try:
        wait_for(lambda: seen == [Outcome.WAITS], seconds=8)
        put(database, quota_builds=None)
        wait_for(lambda: Outcome.SUBMITTED in seen, seconds=8)
        count = len(seen)
        time.sleep(1.2)
        assert len(seen) == count
    finally:
        watching.stop()
