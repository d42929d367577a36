"""`python -m services.api`: starts with what it needs or says what is missing; stops at once, streams or not."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fixtures.answering import answers
from tests.fixtures.patience import CLIENT_SECONDS, patient, wait_for

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database_url: str, storage: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONDARIUM_")}
    return {
        **kept,
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
        "CONDARIUM_DATABASE_URL": database_url,
        # Nobody listens there: events wait, everything else works.
        "CONDARIUM_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/none",
        "CONDARIUM_STORAGE_URL": f"file://{storage}",
        "CONDARIUM_SECRET": "the-signing-secret",
        "CONDARIUM_ADMIN_TOKEN": "the-admin-token",
        "CONDARIUM_API_PORT": str(free_port()),
        **more,
    }


@contextmanager
def process(environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "services.api"], env=environ, cwd=ROOT, stderr=output, stdout=output
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


def test_it_serves_logs_and_stops_while_streams_are_open(database_url: str, storage_dir: Path, tmp_path: Path) -> None:
    environ = environment(database_url, storage_dir)
    log = tmp_path / "log"
    url = f"http://127.0.0.1:{environ['CONDARIUM_API_PORT']}"
    with process(environ, log) as started, httpx.Client(base_url=url, timeout=CLIENT_SECONDS) as client:
        wait_for(lambda: answers(client.get, "/healthz"), seconds=20, what="the gateway to start", process=started)
        ready = client.get("/readyz")
        assert (ready.status_code, list(ready.json()["away"])) == (503, ["broker"])
        body = {"specification": "name: a\ndependencies: [zlib]\n"}
        headers = {"Authorization": "Bearer the-admin-token"}
        assert client.post("/api/v1/specification/", json=body, headers=headers).status_code == 200
        assert client.get("/api/v1/build/?jwt=secret-in-query").status_code == 200
        with client.stream("GET", "/api/v1/events/?after=0") as events:
            lines = events.iter_lines()
            # The gateway's own relay numbers events though the broker is away.
            assert "event: build.queued.v1" in (next(lines) for _ in range(6))
            with (
                httpx.Client(base_url=url, timeout=CLIENT_SECONDS) as other,
                other.stream("GET", "/api/v1/build/1/logs/stream/") as follower,
            ):
                assert next(follower.iter_lines()).startswith("event: status")
                started.send_signal(signal.SIGTERM)
                assert started.wait(patient(10)) == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    requests = [record for record in records if record["message"] == "request"]
    submitted = next(record for record in requests if record["path"] == "/api/v1/specification/")
    assert (submitted["method"], submitted["status"], submitted["principal"]) == ("POST", 200, "admin")
    assert submitted["service"] == "api"
    text = log.read_text()
    for secret in ("the-admin-token", "the-signing-secret", "secret-in-query", "Traceback"):
        assert secret not in text
    assert "graceful shutdown exceeded" not in text, "streams are told of a stop, and do not wait to be cut"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"CONDARIUM_SECRET": ""}, "CONDARIUM_SECRET is not set"),
        ({"CONDARIUM_API_PROT": "1"}, "did you mean CONDARIUM_API_PORT?"),
        ({"CONDARIUM_STORAGE_URL": "s3://nothing"}, "the storage URL"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    database_url: str, storage_dir: Path, tmp_path: Path, more: dict[str, str], sentence: str
) -> None:
    log = tmp_path / "log"
    with process(environment(database_url, storage_dir, **more), log) as started:
        assert started.wait(patient(20)) == 2
    assert sentence in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_database_without_schema_names_the_command(
    empty_database_url: str, storage_dir: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with process(environment(empty_database_url, storage_dir), log) as started:
        assert started.wait(patient(20)) == 2
    assert "python -m condarium.database migrate" in log.read_text()


def test_a_taken_port_is_one_sentence(database_url: str, storage_dir: Path, tmp_path: Path) -> None:
    environ = environment(database_url, storage_dir)
    log = tmp_path / "log"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(environ["CONDARIUM_API_PORT"])))
        holder.listen()
        with process(environ, log) as started:
            assert started.wait(patient(20)) == 2
    assert "CONDARIUM_API_PORT: cannot listen" in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("service", ["api", "registry"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONDARIUM_ANONYMOUS_BINDINGS", '{"default": ["viewer"]}', "'default' is no ARN"),
        ("CONDARIUM_AUTHENTICATED_BINDINGS", '{"{primary}/*": ["boss"]}', "'boss' is no role"),
        ("CONDARIUM_SERVICE_TOKENS", '{"a-secret-token": {}}', "each token needs an object with a name"),
    ],
)
def test_wrong_bindings_stop_the_start(service: str, name: str, value: str, said: str, tmp_path: Path) -> None:
    environ = environment("postgresql://u:p@127.0.0.1:1/none", tmp_path, **{name: value})
    command = [sys.executable, "-m", f"services.{service}"]
    ended = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=patient(60))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{name}: {said}")
    assert ended.stderr.count("\n") == 1
    assert "a-secret-token" not in ended.stderr
