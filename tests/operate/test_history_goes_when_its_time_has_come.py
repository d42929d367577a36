"""Chunks of logs, logs, pins, events and what was handled: each for as long as its setting says, and no longer."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from condarium.database import artifacts, inbox, logs
from condarium.database.garbage import expiry, housekeeping, pins, roots
from condarium.domain.artifact import ArtifactType
from condarium.domain.retention import DAY_SECONDS, Retention
from tests.fixtures.messaging import queued, write
from tests.fixtures.served import Served, make_lock, served

DAYS = 90
USUAL = Retention(True, 86400, 3600, 0, 0, 0, DAYS * DAY_SECONDS, 7 * DAY_SECONDS)


@pytest.fixture
def content(database_url: str, storage_dir: Path) -> Iterator[Served]:
    with served(database_url, storage_dir) as made:
        yield made


def run(content: Served, statement: str, **values: Any) -> list[Any]:
    with content.database.transaction() as session:
        found = session.execute(text(statement), values)
        return [tuple(row) for row in found] if found.returns_rows else []


def build(content: Served, *, ends: str = "COMPLETED", merged: bool = True, name: str = "env") -> int:
    """A build with two chunks of log, which are joined unless `merged` is false."""
    build_id = content.submit(name).build_id
    content.solve(build_id, make_lock("zlib"))
    with content.database.transaction() as session:
        for number in range(2):
            logs.append(session, build_id=build_id, attempt=1, number=number, text=f"line {number}\n")
    if ends == "COMPLETED":
        content.complete(build_id)
    elif ends == "FAILED":
        content.fail(build_id, "it failed")
    if merged:
        content.make(build_id, ArtifactType.LOGS, b"line 0\nline 1\n")
    return build_id


def ago(content: Served, build_id: int, days: float) -> None:
    for statement in (
        "update builds set ended_on = ended_on - make_interval(secs => :s), scheduled_on = scheduled_on "
        "- make_interval(secs => :s) where id = :id",
        "update build_artifacts set ready_on = ready_on - make_interval(secs => :s) where build_id = :id",
    ):
        run(content, statement, s=days * DAY_SECONDS, id=build_id)


def expire(content: Served, retention: Retention = USUAL, kept_types: tuple[str, ...] = ("LOGS",)) -> dict[str, int]:
    with content.database.transaction() as session:
        roots.gather(session, retention)
        return {each.kind: each.count for each in expiry.expire(session, retention, kept_types=kept_types)}


def chunks(content: Served, build_id: int) -> int:
    with content.database.transaction() as session:
        return len(logs.chunks(session, build_id))


def log_of(content: Served, build_id: int) -> tuple[str, str | None]:
    with content.database.transaction() as session:
        found = artifacts.find(session, build_id, ArtifactType.LOGS)
        assert found is not None
        return found.state, found.key


def test_chunks_go_once_they_are_merged_and_the_grace_is_over(content: Served) -> None:
    merged, fresh = build(content, name="merged"), build(content, name="fresh")
    unmerged = build(content, merged=False, name="unmerged")
    failed = build(content, ends="FAILED", name="failed")
    for each in (merged, unmerged, failed):
        ago(content, each, 2)
    assert expire(content)["log chunks"] == 2
    counts = {
        name: chunks(content, each) for name, each in {"m": merged, "f": fresh, "u": unmerged, "x": failed}.items()
    }
    assert counts == {"m": 0, "f": 2, "u": 2, "x": 2}, "who retries a failed build goes on with its log"
    assert log_of(content, merged)[0] == "READY"


def test_a_log_that_was_merged_too_early_keeps_its_chunks(content: Served) -> None:
    build_id = build(content)
    ago(content, build_id, 2)
    run(content, "update build_artifacts set ready_on = ready_on - interval '1 hour'")
    assert expire(content)["log chunks"] == 0


def test_old_logs_go_unless_something_keeps_the_build(content: Served) -> None:
    old = build(content)
    current = build(content)
    failed = build(content, ends="FAILED", name="other")
    pinned = build(content, name="pinned")
    build(content, name="pinned")
    with content.database.transaction() as session:
        pins.put(session, pinned, reason="", expires_on=None, actor="test")
    for each in (old, current, failed, pinned):
        ago(content, each, DAYS - 1)
    assert expire(content)["logs"] == 0
    for each in (old, current, failed, pinned):
        ago(content, each, 2)
    assert expire(content)["logs"] == 2
    assert {each: log_of(content, each)[0] for each in (old, current, failed, pinned)} == {
        old: "FAILED",
        current: "READY",
        failed: "FAILED",
        pinned: "READY",
    }
    assert log_of(content, old)[1] is None, "its bytes are nobody's now"
    ((reason,),) = run(content, "select reason from build_artifacts where build_id = :id", id=old)
    assert reason == "the log was deleted after 90 days, or with its build"
    assert chunks(content, failed) == 0


@pytest.mark.parametrize(("kept", "stays"), [(("LOGS",), True), ((), False)])
def test_the_log_of_a_deleted_build_goes_by_the_setting(content: Served, kept: tuple[str, ...], stays: bool) -> None:
    build_id = build(content)
    run(content, "update builds set deleted_on = clock_timestamp() - interval '2 days'")
    assert expire(content, kept_types=kept)["logs"] == (0 if stays else 1)
    assert (log_of(content, build_id)[0] == "READY") is stays


def test_a_pin_holds_until_it_expires(content: Served) -> None:
    first = build(content)
    build(content)
    ago(content, first, 2)
    run(
        content,
        "insert into pins (build_id, reason, created_by, expires_on) values "
        "(:id, 'paper', 'alice', clock_timestamp() + interval '1 day')",
        id=first,
    )

    def kinds() -> list[tuple[str, str]]:
        with content.database.transaction() as session:
            return [(root.kind, root.detail) for root in roots.of_builds(session, [first], USUAL)]

    ((kind, detail),) = kinds()
    assert kind == "pin"
    assert detail.startswith("pinned by alice: paper, until 20")
    run(content, "update pins set expires_on = clock_timestamp() - interval '1 second'")
    assert kinds() == []
    run(content, "update pins set expires_on = null")
    assert [kind for kind, _ in kinds()] == ["pin"]


def tidy(content: Served) -> dict[str, int]:
    with content.database.transaction() as session:
        return {each.kind: each.count for each in housekeeping.tidy(session, USUAL) if each.count}


def test_events_go_by_when_they_were_published(content: Served) -> None:
    write(content.database, *(queued(number) for number in range(4)))
    run(content, "update outbox set created_on = created_on - interval '30 days'")
    assert tidy(content) == {}, "what is not published yet never goes"
    run(content, "update outbox set published_on = clock_timestamp() - interval '6 days'")
    assert tidy(content) == {}
    run(content, "update outbox set published_on = published_on - interval '2 days' where build_id < 3")
    assert tidy(content) == {"events": 3}
    assert run(content, "select build_id from outbox") == [(3,)]


def test_what_was_handled_is_known_for_longer_than_a_broker_keeps_it(content: Served) -> None:
    with content.database.transaction() as session:
        for consumer in ("watcher", "environment.ready"):
            for _ in range(2):
                inbox.first_time(session, consumer=consumer, event_id=uuid.uuid4())
    run(content, "update inbox set handled_on = handled_on - interval '13 days'")
    assert tidy(content) == {}
    run(content, "update inbox set handled_on = handled_on - interval '2 days'")
    assert tidy(content) == {"handled events": 2}
    assert run(content, "select distinct consumer from inbox") == [("environment.ready",)], "it is said once for ever"
