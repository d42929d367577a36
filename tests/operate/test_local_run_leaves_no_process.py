"""`up` twice is harmless, `down` leaves nothing, and a killed supervisor is recovered from (infrastructure only)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local import processes

CHECKOUT = Path(__file__).resolve().parents[2]


class Run:
    """One data directory, and the commands on it as a user types them."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str, expect: int = 0, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.local", *arguments],
            cwd=CHECKOUT,
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def environ(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONDARIUM_")}
        return {**inherited, "PYTHONPATH": "shared:.", "CONDARIUM_DATA_DIR": str(self.data), **more}

    def processes(self) -> dict[int, str]:
        """Every process on this machine that names the data directory on its command line or in its environment."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(self.data).encode() in told and processes.start_time(int(entry.name)):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
        return found

    def pids(self) -> dict[str, int]:
        return {record.name: record.pid for record in processes.records(self.data / "run") if record.lives()}

    def database(self) -> str:
        state = json.loads((self.data / "state.json").read_text())
        return f"postgresql://condarium:{state['secrets']['postgres']}@127.0.0.1:{state['ports']['postgres']}/condarium"


@pytest.fixture
def run(server_directory: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    found = Run(server_directory / f"{abs(hash(request.node.name)) % 10**8}")
    yield found
    found("down")
    assert found.processes() == {}


def test_up_twice_is_harmless_and_down_leaves_no_process(run: Run) -> None:
    assert "nothing is running" in run("status", expect=3)
    assert "nothing was running" in run("down")
    first = run("up", "--infrastructure")
    for line in ("postgres     ready", "epmd         ready", "rabbitmq     ready", "schema       made"):
        assert line in first
    pids = run.pids()
    assert {"supervisord", "postgres", "epmd", "rabbitmq"} <= set(pids)
    with psycopg.connect(run.database()) as connection:
        assert connection.execute("SELECT count(*) FROM builds").fetchone() == (0,)
    assert "schema       is current" in run("up", "--infrastructure")
    assert run.pids() == pids
    assert "running" in run("status", expect=1)  # 1: the services were not asked for
    assert run.data.joinpath("state.json").stat().st_mode & 0o077 == 0
    assert "stopped" in run("down")
    assert run.processes() == {}


def test_after_kill_9_of_the_supervisor_up_ends_the_orphans_and_recovers(run: Run) -> None:
    run("up", "--infrastructure")
    with psycopg.connect(run.database(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (i int)")
    before = run.pids()
    os.kill(before["supervisord"], signal.SIGKILL)
    _until_dead(before["supervisord"])
    assert processes.start_time(before["postgres"])  # an orphan now
    assert "left by a killed supervisor" in run("up", "--infrastructure")
    after = run.pids()
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert len([text for text in run.processes().values() if "bin/postgres -D" in text]) == 1
    with psycopg.connect(run.database()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    os.kill(after["supervisord"], signal.SIGKILL)
    _until_dead(after["supervisord"])
    assert "left by a killed supervisor" in run("down")
    assert run.processes() == {}


def test_a_database_goes_to_a_file_and_back(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "condarium.sql"
    run("up", "--infrastructure")
    with psycopg.connect(run.database(), autocommit=True) as connection:
        connection.execute("INSERT INTO namespaces (name) VALUES ('carried')")
    run("dump", str(file))
    assert "is not empty" in run("restore", str(file), expect=1)
    with psycopg.connect(run.database(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    run("restore", str(file))
    with psycopg.connect(run.database()) as connection:
        assert connection.execute("SELECT count(*) FROM namespaces WHERE name = 'carried'").fetchone() == (1,)
    (run.data / "store-format").write_text("99\n")
    assert "has format 99" in run("up", "--infrastructure", expect=1)
    (run.data / "store-format").write_text("1\n")
    run("down")
    (run.data / "postgres/data/PG_VERSION").write_text("17\n")
    refused = run("up", "--infrastructure", expect=1)
    assert "written by Postgres 17" in refused
    assert "make restore FILE=" in refused


def _until_dead(pid: int) -> None:
    until = time.monotonic() + 10
    while processes.start_time(pid) and time.monotonic() < until:
        time.sleep(0.02)
