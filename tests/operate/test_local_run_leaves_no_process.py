"""`up` twice is harmless, `down` leaves nothing, and a killed supervisor is recovered from (infrastructure only)."""

import os
import signal
from pathlib import Path

import psutil
import psycopg

from condarium.storage import open_storage
from deploy.local import processes
from tests.fixtures.local_run import LocalRun
from tests.fixtures.patience import wait_for


def test_up_twice_is_harmless_and_down_leaves_no_process(local_run: LocalRun) -> None:
    assert "nothing is running" in local_run("status", expect=3)
    assert "nothing was running" in local_run("down")
    first = local_run("up", "--infrastructure")
    for line in ("postgres     ready", "epmd         ready", "rabbitmq     ready", "schema       made"):
        assert line in first
    pids = local_run.pids()
    assert {"supervisord", "postgres", "epmd", "rabbitmq"} <= set(pids)
    with psycopg.connect(local_run.database()) as connection:
        assert connection.execute("SELECT count(*) FROM builds").fetchone() == (0,)
    assert "schema       is current" in local_run("up", "--infrastructure")
    assert local_run.pids() == pids
    assert "running" in local_run("status", expect=1)  # 1: the services were not asked for
    assert local_run.data.joinpath("state.json").stat().st_mode & 0o077 == 0
    assert "stopped" in local_run("down")
    assert local_run.processes() == {}


def test_with_s3_its_data_and_its_key_stay_and_its_process_goes(local_run: LocalRun) -> None:
    assert "s3           ready" in local_run("up", "--infrastructure", CONDARIUM_STORAGE="s3")
    url = local_run.settings()["CONDARIUM_STORAGE_URL"]
    open_storage(url).put("logs/one", b"kept")
    assert "condarium-private" not in url, "the key is this run's own"
    pid = local_run.pids()["s3"]
    assert all(each.laddr.ip == "127.0.0.1" for each in psutil.Process(pid).net_connections("inet"))
    local_run("down")
    assert local_run.processes() == {}
    local_run("up", "--infrastructure", CONDARIUM_STORAGE="s3")
    assert local_run.settings()["CONDARIUM_STORAGE_URL"] == url
    assert open_storage(url).open("logs/one").read() == b"kept"
    local_run("down")
    assert local_run.processes() == {}


def test_after_kill_9_of_the_supervisor_up_ends_the_orphans_and_recovers(local_run: LocalRun) -> None:
    local_run("up", "--infrastructure")
    with psycopg.connect(local_run.database(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (i int)")
    before = local_run.pids()
    os.kill(before["supervisord"], signal.SIGKILL)
    _until_dead(before["supervisord"])
    assert processes.start_time(before["postgres"])  # an orphan now
    assert "left by a killed supervisor" in local_run("up", "--infrastructure")
    after = local_run.pids()
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert len([text for text in local_run.processes().values() if "bin/postgres -D" in text]) == 1
    with psycopg.connect(local_run.database()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    os.kill(after["supervisord"], signal.SIGKILL)
    _until_dead(after["supervisord"])
    assert "left by a killed supervisor" in local_run("down")
    assert local_run.processes() == {}


def test_a_database_goes_to_a_file_and_back(local_run: LocalRun, tmp_path: Path) -> None:
    file = tmp_path / "condarium.sql"
    local_run("up", "--infrastructure")
    with psycopg.connect(local_run.database(), autocommit=True) as connection:
        connection.execute("INSERT INTO namespaces (name) VALUES ('carried')")
    local_run("dump", str(file))
    assert "is not empty" in local_run("restore", str(file), expect=1)
    with psycopg.connect(local_run.database(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    local_run("restore", str(file))
    with psycopg.connect(local_run.database()) as connection:
        assert connection.execute("SELECT count(*) FROM namespaces WHERE name = 'carried'").fetchone() == (1,)
    (local_run.data / "store-format").write_text("99\n")
    assert "has format 99" in local_run("up", "--infrastructure", expect=1)
    (local_run.data / "store-format").write_text("1\n")
    local_run("down")
    (local_run.data / "postgres/data/PG_VERSION").write_text("17\n")
    refused = local_run("up", "--infrastructure", expect=1)
    assert "written by Postgres 17" in refused
    assert "make restore FILE=" in refused


def _until_dead(pid: int) -> None:
    wait_for(lambda: not processes.start_time(pid), what=f"{pid} to end")
