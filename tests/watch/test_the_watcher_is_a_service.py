"""The watcher as the process that it is: file to event, signals, settings."""

import json
import signal
import socket
import statistics
import time
from pathlib import Path

import psutil
from sqlalchemy import select

from condarium.database import Database
from condarium.database.tables import Build
from condarium.messaging.relay import Relay
from tests.fixtures.messaging import Process, queued, tap, write
from tests.fixtures.patience import patient, wait_for, within

SPECIFICATION = "name: demo\nchannels: [conda-forge]\ndependencies: [python]\n"


def watcher(directory: Path, database_url: str, amqp_url: str, **more: str) -> Process:
    settings = {
        "CONDARIUM_DATABASE_URL": database_url,
        "CONDARIUM_AMQP_URL": amqp_url,
        "CONDARIUM_WATCHER_DIRECTORIES": json.dumps({"team": [str(directory / "specs")]}),
        "CONDARIUM_WATCHER_QUIET_SECONDS": "0.1",
        "CONDARIUM_INDEXED_CHANNELS": "[]",
    }
    return Process(directory / "log", "-m", "services.watcher", **settings | more)


def test_a_file_becomes_a_build_and_an_event_and_sigterm_ends_it(
    tmp_path: Path, database: Database, amqp_url: str
) -> None:
    (tmp_path / "specs").mkdir()
    with watcher(tmp_path, database.url, amqp_url) as process:
        wait_for(lambda: process.said('"running"'), seconds=40)
        time.sleep(0.5)
        with tap(amqp_url, "build.queued.v1") as read:
            # the next walk through all is five minutes away
            with within(5):
                (tmp_path / "specs/environment.yml").write_text(SPECIFICATION)
                wait_for(read, seconds=15)
            (event,) = read()
        assert event["source"] == "watcher"
        assert event["data"]["environment"] == "demo"
        assert event["data"]["namespace"] == "team"
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(patient(10)) == 0
    assert all(json.loads(line) for line in process.text().splitlines())
    assert "Traceback" not in process.text()


def test_watching_holds_up_nothing_else(tmp_path: Path, database: Database, amqp_url: str) -> None:
    """The kernel's listener blocks its thread: it must be another one than that of the health server and relay."""
    (tmp_path / "specs").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with watcher(tmp_path, database.url, amqp_url, CONDARIUM_HEALTH_PORT=str(port)) as process:
        wait_for(lambda: process.said('"running"'), seconds=40)
        took = []
        for _ in range(30):
            with (
                within(5) as watch,
                socket.create_connection(("127.0.0.1", port), patient(5)) as client,
            ):
                client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.0 200")
            took.append(watch.seconds)
            time.sleep(0.05)
        # in its thread the listener would hold up nearly every one of them, for half of its second
        assert statistics.median(took) < 0.25, took
        used = psutil.Process(process.process.pid).cpu_percent(2.0)
        assert used < 25, f"{used} % of a processor while nothing happens"


def test_it_works_while_the_broker_is_away(tmp_path: Path, database: Database) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/environment.yml").write_text(SPECIFICATION)
    with watcher(tmp_path, database.url, "amqp://nobody:nothing@127.0.0.1:9/none") as process:

        def submitted() -> bool:
            with database.transaction() as session:
                return session.execute(select(Build.id)).first() is not None

        wait_for(submitted, seconds=40)
        wait_for(lambda: process.said("waiting for the broker"), seconds=10)
        assert process.terminate(10) == 0
    assert "nothing" not in process.text()


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    for value, word in (('{"a": ["relative"]}', "absolute path"), ("{", "JSON"), ('{"v2": ["/tmp"]}', "v2")):
        with watcher(tmp_path, "postgresql://x@127.0.0.1:1/x", "amqp://x", CONDARIUM_WATCHER_DIRECTORIES=value) as bad:
            assert bad.process.wait(patient(30)) == 2
            (line,) = bad.text().splitlines()
            assert "CONDARIUM_WATCHER_DIRECTORIES" in line
            assert word in line
        bad.log.unlink()


def test_another_relay_takes_over_from_a_killed_process(tmp_path: Path, database: Database, amqp_url: str) -> None:
    (tmp_path / "specs").mkdir()
    relay = Relay(database, amqp_url)
    with watcher(tmp_path, database.url, amqp_url) as process, tap(amqp_url, "build.queued.v1") as read:
        # what its relay has carried shows that it is the active one
        write(database, queued(1))
        wait_for(read, seconds=40)
        relay.start()
        try:
            time.sleep(0.3)
            assert not relay.active
            process.kill()
            write(database, queued(2))
            # the first may come again: who was killed may not have noted that it was confirmed
            wait_for(lambda: {message["data"]["build"] for message in read()} == {1, 2}, seconds=10)
            assert relay.active
        finally:
            relay.stop()
