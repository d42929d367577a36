"""A pull of something that is not there yet takes longer, holds nothing, and ends with the reason or the image."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from condarium.database import artifacts
from condarium.domain.artifact import ArtifactType
from condarium.work.demand import WAITED_FOR
from tests.fixtures.patience import patient, wait_for, within
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as made:
        yield made


def pull(registry: RunningRegistry, tag: str = "latest", method: str = "HEAD") -> httpx.Response:
    return registry.http.request(method, f"/v2/env/manifests/{tag}")


def priority(registry: RunningRegistry, build_id: int) -> int | None:
    with registry.database.transaction() as session:
        row = artifacts.find(session, build_id, ArtifactType.DOCKER_MANIFEST)
        return row.priority if row else None


def test_a_pull_waits_for_a_build_and_its_image(registry: RunningRegistry, pool: ThreadPoolExecutor) -> None:
    made = registry.submit("env")
    waiting = [pool.submit(pull, registry, tag) for tag in ("latest", "g1", made.key, made.key[:8])]
    wait_for(lambda: priority(registry, made.build_id) == WAITED_FOR)
    registry.solve(made.build_id, make_lock("a"))
    registry.publish()
    registry.complete(made.build_id)
    registry.publish()
    time.sleep(0.1)
    assert not any(pending.done() for pending in waiting)
    digest = registry.make_image(made.build_id)
    # the poll is 30 s away: an event wakes them
    with within(2):
        registry.publish()
        replies = [pending.result(patient(10)) for pending in waiting]
    for reply in replies:
        assert reply.status_code == 200
        assert reply.headers["docker-content-digest"] == f"sha256:{digest}"


def test_the_image_alone_is_waited_for_and_asked_for_first(registry: RunningRegistry, pool: ThreadPoolExecutor) -> None:
    made = registry.submit("env")
    registry.solve(made.build_id, make_lock("a"), eager=("LOCKFILE", "CONDA_PACK", "DOCKER_MANIFEST"))
    registry.complete(made.build_id)
    waiting = pool.submit(pull, registry, "latest", "GET")
    wait_for(lambda: priority(registry, made.build_id) == WAITED_FOR)
    with registry.database.transaction() as session:
        events = session.execute(
            text("select data->>'artifact' from outbox where routing_key = 'artifact.requested.v1'")
        )
        assert list(events.scalars()) == ["DOCKER_MANIFEST"]
    registry.make_image(made.build_id)
    registry.publish()
    assert waiting.result(patient(10)).json()["layers"]


@pytest.mark.parametrize("reason", ["build", "image"])
def test_a_failure_ends_the_wait_with_its_reason(
    registry: RunningRegistry, pool: ThreadPoolExecutor, reason: str
) -> None:
    made = registry.submit("env")
    registry.solve(made.build_id, make_lock("a"))
    waiting = pool.submit(pull, registry, "latest", "GET")
    wait_for(lambda: priority(registry, made.build_id) == WAITED_FOR)
    if reason == "build":
        registry.fail(made.build_id, "numpy 99 does not exist")
        wake(registry, made.build_id)
    else:
        registry.complete(made.build_id)
        registry.fail_image(made.build_id, "numpy 99 does not exist")
    registry.publish()
    reply = waiting.result(patient(10))
    assert reply.status_code == 404
    assert "numpy 99 does not exist" in reply.json()["errors"][0]["message"]


def wake(registry: RunningRegistry, build_id: int) -> None:
    """The event that the builder writes when a build fails."""
    from condarium.database import builds, outbox
    from condarium.events import BuildFailed

    with registry.database.transaction() as session:
        build = builds.load(session, build_id)
        event = builds.event(session, build, BuildFailed, actor="test", reason="unsolvable", message="no")
        outbox.add(session, event, source="builder")


def test_a_wait_ends_in_time_with_a_sentence(database_url: str, storage_dir: Path) -> None:
    with running_registry(database_url, storage_dir, wait_seconds=0.3) as registry:
        registry.submit("env")
        with within(3) as watch:
            reply = pull(registry, method="GET")
        assert watch.seconds > 0.2
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert "not completed yet (queued); pull again" in reply.json()["errors"][0]["message"]


def test_without_an_event_the_poll_finds_it(database_url: str, storage_dir: Path, pool: ThreadPoolExecutor) -> None:
    with running_registry(database_url, storage_dir, poll=0.1) as registry:
        made = registry.submit("env")
        registry.solve(made.build_id, make_lock("a"))
        waiting = pool.submit(pull, registry)
        wait_for(lambda: priority(registry, made.build_id) == WAITED_FOR)
        registry.complete(made.build_id)
        registry.make_image(made.build_id)
        assert waiting.result(patient(10)).status_code == 200


def waiters(registry: RunningRegistry) -> int:
    text = registry.http.get("/metrics").text
    return int(float(re.findall(r"^condarium_event_streams (\S+)", text, re.MULTILINE)[0]))


def test_many_waits_hold_no_thread_and_no_connection(
    database_url: str, storage_dir: Path, pool: ThreadPoolExecutor
) -> None:
    with running_registry(database_url, storage_dir, wait_seconds=200) as registry:
        made = registry.submit("env")
        threads = threading.active_count()
        waiting: list[Future[httpx.Response]] = [pool.submit(pull, registry) for _ in range(60)]
        wait_for(lambda: waiters(registry) == 60)
        query = text(
            "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' "
            "and pid <> pg_backend_pid()"
        )

        def busy() -> int:
            with registry.database.transaction() as session:
                return int(session.execute(query).scalar_one())

        wait_for(lambda: busy() == 0)
        # 60 are the clients'; the registry has its bounded pool
        assert threading.active_count() - threads <= 60 + 10
        registry.solve(made.build_id, make_lock("a"))
        registry.complete(made.build_id)
        registry.make_image(made.build_id)
        registry.publish()
        assert {pending.result(patient(30)).status_code for pending in waiting} == {200}


def test_a_client_that_goes_ends_its_wait(registry: RunningRegistry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    made = registry.submit("env")
    host, port = registry.address.split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(f"HEAD /v2/env/manifests/latest HTTP/1.1\r\nHost: {registry.address}\r\n\r\n".encode())
        wait_for(lambda: priority(registry, made.build_id) == WAITED_FOR)
    wait_for(lambda: any("status=499" in message for message in caplog.messages))


def test_a_stop_ends_waits_at_once(
    database_url: str, storage_dir: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a stop would give them if nobody told them of it
    monkeypatch.setattr("condarium.http.server.GRACE_SECONDS", 60)
    with ExitStack() as stack:
        registry = stack.enter_context(running_registry(database_url, storage_dir))
        made = registry.submit("env")
        waiting = pool.submit(pull, registry, "latest", "GET")
        wait_for(lambda: priority(registry, made.build_id) == WAITED_FOR)
        time.sleep(0.1)
        with within(4):
            stack.close()
    reply = waiting.result(patient(5))
    assert reply.status_code == 503
    assert reply.headers["retry-after"]
