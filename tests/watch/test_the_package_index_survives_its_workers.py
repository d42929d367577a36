"""Who reads a channel may die, be stopped or lose its lease: somebody else goes on, and nothing is half done."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from condarium.database import Database, channels, credentials, settings
from condarium.domain.credential import Kind
from condarium.domain.sealing import Vault
from condarium.work.child import Child, environment, spawned
from services.watcher.indexing import Indexing
from tests.fixtures.http_directory import Served, serve_directory
from tests.fixtures.messaging import Process
from tests.fixtures.patience import patient, wait_for, within
from tests.fixtures.repodata import Index, plan, record, write_repodata

SLOW = "linux-64/repodata.json.zst"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    write_repodata(tmp_path / "channel", record("numpy"), record("zlib"))
    with serve_directory(tmp_path / "channel") as found:
        yield found


def watcher(directory: Path, database: Database, amqp_url: str, served: Served, name: str) -> Process:
    return Process(
        directory / name,
        "-m",
        "services.watcher",
        CONDARIUM_DATABASE_URL=database.url,
        CONDARIUM_AMQP_URL=amqp_url,
        CONDARIUM_CHANNEL_MIRRORS=json.dumps({"conda-forge": [served.url]}),
        CONDARIUM_LEASE_SECONDS="2",
        CONDARIUM_HEARTBEAT_SECONDS="0.2",
        CONDARIUM_POLL_SECONDS="0.2",
        CONDARIUM_SECRET="s",
    )


def indexer() -> Child:
    return spawned([sys.executable, "-m", "services.watcher.indexer"], environ=environment(os.environ))


def parts(database: Database) -> dict[str, channels.Part]:
    with database.transaction() as session:
        return {part.part: part for found in channels.listed(session) for part in found.parts}


def test_a_killed_watcher_is_taken_over(tmp_path: Path, database: Database, amqp_url: str, served: Served) -> None:
    served.hang_on = SLOW
    with watcher(tmp_path, database, amqp_url, served, "first") as first:
        assert served.hanging.wait(patient(40)), first.text()
        # its child waits for the channel
        (child,) = psutil.Process(first.process.pid).children()
        first.kill()
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=5)
    assert parts(database)["linux-64"].state == channels.SYNCING
    served.hang_on = None
    with watcher(tmp_path, database, amqp_url, served, "second") as second:
        wait_for(lambda: parts(database)["linux-64"].checked_on, seconds=40)
        assert second.terminate() == 0
        assert "Traceback" not in second.text()
    assert Index(database, plan("")).packages() == [("numpy", "1.0"), ("zlib", "1.0")]
    assert parts(database)["linux-64"].failures == 0


def test_a_stopped_watcher_gives_back_at_once(
    tmp_path: Path, database: Database, amqp_url: str, served: Served
) -> None:
    served.hang_on = SLOW
    with watcher(tmp_path, database, amqp_url, served, "first") as first:
        assert served.hanging.wait(patient(40)), first.text()
        # the channel does not answer before the end of the test
        with within(10):
            assert first.terminate() == 0
    part = parts(database)["linux-64"]
    assert (part.state, part.failures, part.due_on) == (channels.WAITING, 0, None)


def test_a_lease_is_held_while_the_child_reads(database: Database, served: Served) -> None:
    served.hang_on = SLOW
    running = Indexing(database, plan(served.url, lease_seconds=1.0), owner="one", start_child=indexer)
    running.start()
    try:
        assert served.hanging.wait(patient(20))
        index = Index(database, running._plan)
        time.sleep(1.5)
        while (other := index.take("two")) is not None:
            assert other.part != "linux-64"
    finally:
        running.stop()


def test_a_child_that_lost_its_lease_is_ended(database: Database, served: Served) -> None:
    served.hang_on = SLOW
    running = Indexing(database, plan(served.url), owner="one", start_child=indexer)
    running.start()
    try:
        assert served.hanging.wait(patient(20))
        child = running._child
        assert child is not None
        with database.transaction() as session:
            session.execute(text("update channel_syncs set owner = 'two', attempt = attempt + 1"))
        wait_for(lambda: not psutil.pid_exists(child.pid), seconds=10)
    finally:
        running.stop()


def test_what_is_indexed_follows_the_settings(database: Database, served: Served) -> None:
    wanted = plan(served.url, bioconda=served.url)
    running = Indexing(database, wanted, owner="one", start_child=indexer)
    while running.work():
        pass
    with database.transaction() as session:
        assert [found.url.rpartition("/")[2] for found in channels.listed(session)] == ["conda-forge"]
        settings.change(session, settings.GLOBAL, {"conda_indexed_channels": ["bioconda"]}, actor="test")
    while running.work():
        pass
    with database.transaction() as session:
        assert [found.url.rpartition("/")[2] for found in channels.listed(session)] == ["bioconda"]
        assert session.execute(text("select count(*) from channels")).scalar_one() == 1
    assert len(Index(database, wanted).packages()) == 2


def test_a_private_channel_is_read_with_the_credential_of_the_deployment(database: Database, served: Served) -> None:
    served.authorization = "Bearer hush-hush"
    vault = Vault("secret")
    with database.transaction() as session:
        credentials.put(
            session,
            vault,
            namespace=None,
            name="art",
            kind=Kind.BEARER,
            url=served.url,
            values={"token": "hush-hush"},
            actor="test",
        )
    running = Indexing(database, replace(plan(served.url), vault=vault), owner="one", start_child=indexer)
    while running.work():
        pass
    found = parts(database)["linux-64"]
    assert (found.error, found.records) == (None, 2)
    with database.transaction() as session:
        assert "hush" not in str(session.execute(text("select seen from channel_syncs")).all())
