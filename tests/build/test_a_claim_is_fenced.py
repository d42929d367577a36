"""Leases: one claim each, expiry, the fencing token, backoff; on two tables, because they don't know theirs."""

import threading
import time
import uuid

import pytest

from condarium.database import Database, builds, leases
from condarium.database.tables import Build
from condarium.domain.build import Status
from condarium.domain.specification import parse
from condarium.errors import Conflict, LeaseLost
from condarium.work.submission import submit


def queue(database: Database, count: int = 1, name: str = "env") -> list[int]:
    text = f"name: {name}\nchannels: [conda-forge]\ndependencies: [python]\n"
    specification = parse(text, check_match_spec=lambda spec: None)
    with database.transaction() as session:
        return [
            submit(session, specification, namespace="default", actor="me", source="api").build_id for _ in range(count)
        ]


def take(database: Database, owner: str = "a", seconds: float = 30) -> leases.Claim | None:
    with database.transaction() as session:
        return leases.claim(session, builds.CLAIMABLE, owner=owner, lease_seconds=seconds)


def test_many_workers_get_each_row_once(database: Database) -> None:
    wanted = queue(database, 40)
    got: list[int] = []

    def work(owner: str) -> None:
        while claim := take(database, owner):
            got.append(claim.id)

    threads = [threading.Thread(target=work, args=(str(uuid.uuid4()),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == wanted


def test_an_expired_lease_is_taken_over_and_the_old_owner_writes_nothing(database: Database) -> None:
    queue(database)
    old = take(database, "old", seconds=0.05)
    assert old is not None
    assert take(database, "new") is None
    time.sleep(0.1)
    new = take(database, "new")
    assert new is not None
    assert (new.id, new.attempt) == (old.id, 2)
    with pytest.raises(LeaseLost), database.transaction() as session:
        builds.load_claimed(session, old)
    with pytest.raises(LeaseLost), database.transaction() as session:
        leases.extend(session, builds.CLAIMABLE, old, lease_seconds=30)
    with database.transaction() as session:
        leases.extend(session, builds.CLAIMABLE, new, lease_seconds=30)


def test_the_same_owner_is_fenced_from_its_own_earlier_attempt(database: Database) -> None:
    queue(database)
    first = take(database, "me", seconds=0.01)
    time.sleep(0.05)
    second = take(database, "me")
    assert first is not None
    assert second is not None
    with pytest.raises(LeaseLost), database.transaction() as session:
        builds.load_claimed(session, first)


def test_a_postponed_row_waits(database: Database) -> None:
    queue(database)
    held = take(database)
    assert held is not None
    with database.transaction() as session:
        build = builds.load_claimed(session, held)
        builds.move(session, build, Status.QUEUED)
        leases.postpone(session, build, seconds=0.3)
    assert take(database) is None
    time.sleep(0.35)
    again = take(database)
    assert again is not None
    assert again.attempt == 2


def test_priority_goes_first_then_age(database: Database) -> None:
    first, second, third = queue(database, 3)
    with database.transaction() as session:
        session.get_one(Build, third).priority = 5
    assert [claim.id for claim in (take(database), take(database), take(database)) if claim] == [third, first, second]


def test_a_queued_build_is_canceled_at_once_and_never_taken(database: Database) -> None:
    (build_id,) = queue(database)
    with database.transaction() as session:
        builds.cancel(session, builds.load(session, build_id, lock=True), actor="me")
    assert take(database) is None
    with database.transaction() as session:
        build = builds.load(session, build_id, lock=True)
        assert (build.status, build.status_info) == ("CANCELED", "canceled by me")
        builds.retry(session, build, actor="me")
    assert take(database) is not None


def test_an_ended_build_cannot_be_canceled(database: Database) -> None:
    (build_id,) = queue(database)
    held = take(database)
    assert held is not None
    with database.transaction() as session:
        builds.move(session, builds.load_claimed(session, held), Status.COMPLETED)
    with pytest.raises(Conflict, match="it is COMPLETED"), database.transaction() as session:
        builds.cancel(session, builds.load(session, build_id, lock=True), actor="me")
