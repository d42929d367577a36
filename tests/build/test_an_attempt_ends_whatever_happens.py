"""One attempt, with the real database and a child that says what a test wants: it always ends, and says why."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from condarium import config
from condarium.database import Database, artifacts, builds, environments, logs, stores
from condarium.database.tables import BuildArtifact, Outbox
from condarium.domain.naming import prefix_name
from condarium.domain.specification import parse
from condarium.errors import ConfigError, Unavailable
from condarium.work.child import Child, environment, spawned
from condarium.work.submission import submit
from services.builder import handlers
from services.builder.attempt import Attempt
from services.builder.config import Settings
from services.builder.handlers import Work
from services.builder.housekeeping import Housekeeping
from services.builder.logbook import Logbook
from services.builder.slots import Slots
from services.builder.store import Store, open_store
from tests.fixtures.patience import patient, wait_for, within

LINKED = {"event": "linked", "lock_hash": "ab" * 32, "prefix": "/p", "size": 1, "reused": False}
ROOT = Path(__file__).parents[2]
WORLD = {"event": "failed", "kind": "world", "reason": "io", "message": "No space left on device", "retry_after": None}

MakeWork = Callable[..., Work]


@pytest.fixture
def make_work(database: Database, tmp_path: Path) -> MakeWork:
    def make(**more: str) -> Work:
        settings = config.load(
            Settings,
            {
                "CONDARIUM_DATABASE_URL": database.url,
                "CONDARIUM_AMQP_URL": "amqp://127.0.0.1:9",
                "CONDARIUM_SECRET": "a-builder-of-tests",
                "CONDARIUM_STORE": str(tmp_path / "store"),
                "CONDARIUM_HEARTBEAT_SECONDS": "0.2",
                "CONDARIUM_POLL_SECONDS": "0.1",
            }
            | more,
        )
        found = open_store(settings.store)
        with database.transaction() as session:
            store = Store(found.directory, found.uuid, stores.register(session, found.uuid, str(found.directory)))
        return Work(database, settings, store, owner="me")

    return make


def child(*messages: Any, then: str = "") -> Child:
    """Says it is ready, takes the job, says `messages` (objects, or lines as they are), and does `then`."""
    lines = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    code = f"""
import sys, time
print('{{"event": "ready"}}', flush=True)
sys.stdin.readline()
for line in {lines!r}:
    print(line, flush=True)
{then}
"""
    return spawned([sys.executable, "-S", "-c", code], environ={"PYTHONIOENCODING": "utf-8"})


def ready(started: Child) -> Callable[[], Child]:
    started.wait_ready()
    return lambda: started


def queue(database: Database) -> int:
    specification = parse("name: env\nchannels: [c]\ndependencies: [python]\n", check_match_spec=lambda spec: None)
    with database.transaction() as session:
        return submit(session, specification, namespace="default", actor="me", source="api").build_id


def run(work: Work, started: Child) -> None:
    task = handlers.take(work)
    assert task is not None
    Attempt(work, task).run(ready(started))


def state(database: Database, build_id: int) -> tuple[str, str]:
    with database.transaction() as session:
        build = builds.load(session, build_id)
        return build.status, build.status_info or ""


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        '{"event": "log"}',
        '{"event": "phase", "name": "solve", "state": "finished"}',
        '{"event": "solved", "locks": {"linux-64": {}}}',
        '{"event": "linked"}',
        '"ready"',
        "no JSON",
        '{"event": "log", "text": "\\ud800"}',
        json.dumps(WORLD | {"message": "a\0b"}),
        json.dumps(WORLD | {"message": "x" * 100_000}),
    ],
)
def test_whatever_the_child_says_the_build_goes_on_at_once(database: Database, make_work: MakeWork, said: str) -> None:
    build_id = queue(database)
    run(make_work(), child(said))
    status, info = state(database, build_id)
    assert status == "QUEUED"
    assert "tried again at" in info
    assert len(info) < 40_000


def test_a_cancel_that_was_answered_wins_over_a_completion(database: Database, make_work: MakeWork) -> None:
    for last in (LINKED, WORLD):
        build_id = queue(database)
        work = make_work(CONDARIUM_HEARTBEAT_SECONDS="5")
        task = handlers.take(work)
        assert task is not None
        with database.transaction() as session:
            builds.cancel(session, builds.load(session, build_id, lock=True), actor="me")
        Attempt(work, task).run(ready(child(last)))
        assert state(database, build_id) == ("CANCELED", "canceled")
    with database.transaction() as session:
        assert environments.load(session, "default", "env").current_build_id is None


def test_a_builder_whose_children_do_not_start_claims_nothing(database: Database, make_work: MakeWork) -> None:
    build_id = queue(database)
    slots = Slots(make_work(), lambda: spawned(["/bin/false"], environ={}))
    slots.start()
    time.sleep(0.5)
    slots.stop()
    with database.transaction() as session:
        build = builds.load(session, build_id)
        assert (build.status, build.attempt) == ("QUEUED", 0)


def test_a_log_whose_writing_broke_off_before_or_after_the_commit_is_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_id = queue(database)
    book = Logbook(build_id=build_id, attempt=1, cap_bytes=1000)
    transaction, breaks = database.transaction, ["before", "after", ""]

    @contextmanager
    def breaking() -> Iterator[Session]:
        when = breaks.pop(0)
        with transaction() as session:
            yield session
            if when == "before":
                raise Unavailable("the connection broke")
        if when == "after":
            raise Unavailable("the connection broke")

    monkeypatch.setattr(database, "transaction", breaking)
    monkeypatch.setattr("services.builder.logbook.FLUSH_SECONDS", 0.0)
    for line in ("one", "two", "three"):
        book.write(line)
        book.flush(database)
    with transaction() as session:
        text = "".join(chunk.text for chunk in logs.chunks(session, build_id))
    assert [line.split()[1] for line in text.splitlines()] == ["one", "two", "three"]


def test_a_log_ends_at_its_cap(database: Database, make_work: MakeWork) -> None:
    build_id = queue(database)
    huge = "print(json.dumps({'event': 'log', 'text': 'x' * 3_000_000}), flush=True)"
    run(
        make_work(CONDARIUM_BUILDER_LOG_BYTES="1024"),
        child({"event": "log", "text": "x" * 500}, then=f"import json\n{huge}\n{huge}"),
    )
    with database.transaction() as session:
        text = "".join(chunk.text for chunk in logs.chunks(session, build_id))
    assert len(text) < 1200
    assert text.endswith("... the log is longer than allowed and ends here\n")


def test_an_attempt_that_takes_too_long_is_final(database: Database, make_work: MakeWork) -> None:
    build_id = queue(database)
    run(make_work(CONDARIUM_BUILDER_TIME_LIMIT_SECONDS="1"), child(then="time.sleep(60)"))
    assert state(database, build_id) == (
        "FAILED",
        "the build took longer than 1 s (CONDARIUM_BUILDER_TIME_LIMIT_SECONDS)",
    )


def test_the_environment_is_ready_also_when_its_artifacts_were_there_before_the_prefix(
    database: Database, make_work: MakeWork
) -> None:
    build_id = queue(database)
    work = make_work(CONDARIUM_ARTIFACTS="LOCKFILE")
    task = handlers.take(work)
    assert task is not None
    handlers.solved(work, task, {})
    with database.transaction() as session:
        session.execute(select(BuildArtifact)).scalar_one().state = "READY"
    (work.store.directory / "default" / prefix_name(str(LINKED["lock_hash"]), "env")).mkdir(parents=True)
    Attempt(work, task).run(ready(child(LINKED)))
    assert state(database, build_id)[0] == "COMPLETED"
    with database.transaction() as session:
        keys = session.execute(select(Outbox.routing_key).order_by(Outbox.id)).scalars().all()
    assert keys[-1] == "environment.ready.v1"


def test_a_build_that_nobody_could_finish_asks_for_its_log(database: Database, make_work: MakeWork) -> None:
    build_id = queue(database)
    work = make_work(CONDARIUM_MAX_ATTEMPTS="1", CONDARIUM_LEASE_SECONDS="1")
    assert handlers.take(work) is not None
    time.sleep(1.1)
    assert handlers.take(work) is None
    with database.transaction() as session:
        build = builds.load(session, build_id)
        assert build.status == "FAILED"
        assert "given up" in str(build.status_info)
        assert [row.artifact_type for row in artifacts.of_build(session, build_id)] == ["LOGS"]


def test_a_stop_while_the_database_is_away_is_bounded(
    database: Database, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(database)
    queue(database)
    work = make_work(CONDARIUM_BUILDER_DRAIN_SECONDS="0", CONDARIUM_BUILDER_SLOTS="2")
    monkeypatch.setattr("services.builder.slots.GIVE_BACK_SECONDS", 1.0, raising=False)
    slots = Slots(work, lambda: child(then="time.sleep(600)"))
    slots.start()
    wait_for(lambda: len(slots._running) == 2)

    def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(Database, "transaction", away)
    with within(3):
        slots.stop()
    # a process would end now; here the slots end once the database is back
    monkeypatch.undo()
    wait_for(lambda: not any(thread.is_alive() for thread in slots._threads))


def test_a_claim_made_while_stopping_is_given_back(
    database: Database, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_id = queue(database)
    monkeypatch.setattr("services.builder.slots.GIVE_BACK_SECONDS", 60.0)
    slots = Slots(make_work(CONDARIUM_BUILDER_DRAIN_SECONDS="0"), lambda: child(then="time.sleep(600)"))
    take, claimed = handlers.take, threading.Event()

    def slow(work: Work) -> Any:
        task = take(work)
        if task is not None:
            claimed.set()
            time.sleep(0.5)
        return task

    monkeypatch.setattr(handlers, "take", slow)
    slots.start()
    assert claimed.wait(patient(10))
    with within(5):
        slots.stop()
    with database.transaction() as session:
        build = builds.load(session, build_id)
        assert (build.status, build.attempt - build.attempts_before) == ("QUEUED", 0)


def test_a_heartbeat_that_fails_oddly_is_followed_by_the_next(
    database: Database, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_id = queue(database)
    beat, faults = handlers.beat, [RuntimeError("odd"), RuntimeError("odd")]

    def odd(*arguments: Any) -> bool:
        if faults:
            raise faults.pop()
        return beat(*arguments)

    monkeypatch.setattr(handlers, "beat", odd)
    work = make_work()
    task = handlers.take(work)
    assert task is not None
    with database.transaction() as session:
        builds.cancel(session, builds.load(session, build_id, lock=True), actor="me")
    # the child ends by itself after a minute
    with within(5):
        Attempt(work, task).run(ready(child(then="time.sleep(60)")))
    assert state(database, build_id)[0] == "CANCELED"


def test_full_disks_do_not_write_over_each_other_and_take_back_what_they_said(
    database: Database, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_id = queue(database)
    work = make_work(CONDARIUM_BUILDER_DISK_HARD_PERCENT="1", CONDARIUM_BUILDER_DISK_SOFT_PERCENT="1")
    assert handlers.take(work) is None
    said = state(database, build_id)[1]
    assert said.startswith("disk ")
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    waits = queue(database)
    assert handlers.take(work) is None
    assert state(database, build_id)[1] == said
    assert state(database, waits)[1].endswith("on another: waits until space is freed")
    monkeypatch.setattr(handlers, "disk_percent", lambda directory: 0.5)
    assert handlers.take(work) is not None
    assert state(database, waits) == ("QUEUED", "")


def test_housekeeping_removes_what_dead_attempts_left(database: Database, make_work: MakeWork) -> None:
    build_id = queue(database)
    work = make_work()
    assert handlers.take(work) is not None
    staging = work.store.directory / ".staging"
    for name in (f"{build_id}-1", f"{build_id}-0", "4711-1"):
        (staging / name / "prefix").mkdir(parents=True)
    Housekeeping(work, environment(os.environ, PYTHONPATH=f"{ROOT / 'shared'}:{ROOT}"))._tidy()
    assert [path.name for path in staging.iterdir()] == [f"{build_id}-1"]


@pytest.mark.parametrize(
    ("name", "value"), [("CONDARIUM_LEASE_SECONDS", "2"), ("CONDARIUM_BUILDER_DISK_HARD_PERCENT", "50")]
)
def test_settings_that_cannot_work_together_are_refused(make_work: MakeWork, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        make_work(**{"CONDARIUM_HEARTBEAT_SECONDS": "2", name: value})
