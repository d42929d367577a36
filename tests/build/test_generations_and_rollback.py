"""An old slow build never overtakes a newer one, and never undoes a rollback."""

import threading
import time

import pytest
from sqlalchemy import select

from condarium.database import Database, builds, environments, leases, outbox
from condarium.database.tables import Build, Outbox
from condarium.domain.build import Status
from condarium.domain.specification import parse
from condarium.errors import InvalidInput
from condarium.work.submission import Submitted, submit
from tests.fixtures.patience import patient


def start(database: Database, count: int) -> list[leases.Claim]:
    """`count` builds of one environment, all of them under way."""
    specification = parse("name: env\ndependencies: [python]\n", check_match_spec=lambda spec: None)
    claims = []
    with database.transaction() as session:
        for _ in range(count):
            submit(session, specification, namespace="default", actor="me", source="api")
    for _ in range(count):
        with database.transaction() as session:
            claim = leases.claim(session, builds.CLAIMABLE, owner="o", lease_seconds=60)
        assert claim is not None
        claims.append(claim)
    return claims


def finish(database: Database, claim: leases.Claim) -> bool:
    with database.transaction() as session:
        environment = environments.load(session, "default", "env", lock=True)
        build = builds.load_claimed(session, claim)
        builds.move(session, build, Status.COMPLETED)
        session.flush()
        return environments.point_to(session, environment, build, actor="me", source="builder")


def current(database: Database) -> int | None:
    with database.transaction() as session:
        return environments.load(session, "default", "env").current_build_id


def test_a_newer_build_that_completes_first_stays(database: Database) -> None:
    old, new = start(database, 2)
    assert finish(database, new)
    assert not finish(database, old)
    assert current(database) == new.id


def test_a_rollback_stands_against_builds_that_were_under_way(database: Database) -> None:
    first, second, third = start(database, 3)
    finish(database, first)
    finish(database, second)
    with database.transaction() as session:
        environment = environments.load(session, "default", "env", lock=True)
        environments.roll_back(session, environment, session.get_one(Build, first.id), actor="me")
    assert not finish(database, third)
    assert current(database) == first.id
    (fourth,) = start(database, 1)
    assert finish(database, fourth)


def test_only_a_completed_build_of_the_environment_can_be_rolled_back_to(database: Database) -> None:
    (running,) = start(database, 1)
    with pytest.raises(InvalidInput, match="since not completed"), database.transaction() as session:
        environment = environments.load(session, "default", "env", lock=True)
        environments.roll_back(session, environment, session.get_one(Build, running.id), actor="me")


def test_deleting_ends_what_is_under_way_and_frees_the_name(database: Database) -> None:
    running, other = start(database, 2)
    specification = parse("name: env\ndependencies: [python]\n", check_match_spec=lambda spec: None)
    with database.transaction() as session:
        queued = submit(session, specification, namespace="default", actor="me", source="api").build_id
    with database.transaction() as session:
        environments.delete(session, environments.load(session, "default", "env", lock=True), actor="me")
    with database.transaction() as session:
        assert environments.find(session, "default", "env") is None
        assert session.get_one(Build, queued).status == Status.CANCELED
        assert session.get_one(Build, running.id).cancel_requested_at is not None
        told = select(Outbox.build_id).where(Outbox.routing_key == "build.canceled.v1").order_by(Outbox.build_id)
        assert session.execute(told).scalars().all() == [running.id, other.id, queued]
        again = submit(session, specification, namespace="default", actor="me", source="api")
    assert again.generation == 1


def test_an_event_is_written_with_the_state_or_not_at_all(database: Database) -> None:
    specification = parse("name: env\ndependencies: [python]\n", check_match_spec=lambda spec: None)
    with pytest.raises(RuntimeError), database.transaction() as session:
        submit(session, specification, namespace="default", actor="me", source="api")
        raise RuntimeError
    with database.transaction() as session:
        assert outbox.number(session) == 0
        submit(session, specification, namespace="default", actor="me", source="api")
    with database.transaction() as session:
        assert outbox.number(session) == 1
        assert [stored.routing_key for stored in outbox.unpublished(session)] == ["build.queued.v1"]


def test_a_submission_that_meets_a_deletion_makes_the_environment_anew(database: Database) -> None:
    start(database, 1)
    specification = parse("name: env\ndependencies: [python]\n", check_match_spec=lambda spec: None)
    submitted: list[Submitted] = []

    def again() -> None:
        with database.transaction() as session:
            submitted.append(submit(session, specification, namespace="default", actor="me", source="api"))

    submitting = threading.Thread(target=again)
    with database.transaction() as session:
        environment = environments.load(session, "default", "env", lock=True)
        submitting.start()
        time.sleep(0.3)  # it waits for the row that is going to be deleted
        environments.delete(session, environment, actor="me")
    submitting.join(patient(10))
    assert [made.generation for made in submitted] == [1]
