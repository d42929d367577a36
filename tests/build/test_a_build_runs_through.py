"""The builder as a process: queue to prefix, failures in the solver's words, kills, cancels, drains."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from condarium.conda import matchspec
from condarium.database import Database, builds, environments, logs, stores
from condarium.domain.specification import parse
from condarium.work.submission import submit
from tests.fixtures.forwarder import forwarder
from tests.fixtures.patience import patient, wait_for, within
from tests.fixtures.standstill import stopped_before_linking
from tests.fixtures.system import System, running_system

SMALL = "name: small\nchannels: [conda-forge]\ndependencies: [python, click]\n"
LARGE = "name: large\nchannels: [conda-forge]\ndependencies: [python, scipy, pandas, matplotlib, scikit-learn]\n"
#: of a builder that another takes over from; where none does, a busy machine must not make a lease end
SHORT_LEASE = {"CONDARIUM_LEASE_SECONDS": "2"}


@pytest.fixture
def system(database_url: str, amqp_url: str, sample_channel: Path) -> Iterator[System]:
    with running_system(
        database_url=database_url,
        amqp_url=amqp_url,
        channel=sample_channel,
        services=(),
        CONDARIUM_HEARTBEAT_SECONDS="0.3",
        CONDARIUM_RETRY_BASE_SECONDS="0.3",
    ) as system:
        yield system


def queue(database: Database, text: str = SMALL) -> int:
    specification = parse(text, check_match_spec=matchspec.check)
    with database.transaction() as session:
        return submit(session, specification, namespace="default", actor="me", source="api").build_id


def state(database: Database, build_id: int) -> tuple[str, str | None]:
    with database.transaction() as session:
        build = builds.load(session, build_id)
        return build.status, build.status_info


def wait_state(database: Database, build_id: int, status: str, seconds: float = 60) -> str | None:
    wait_for(
        lambda: state(database, build_id)[0] == status,
        seconds=seconds,
        what=lambda: f"build {build_id} to be {status}; it is {state(database, build_id)}",
    )
    return state(database, build_id)[1]


def engines(system: System) -> list[psutil.Process]:
    """Children of this system's builder, that work or wait for work: what its nursery has forked."""
    mine = {service.process.pid for service in system.services if service.name == "builder"}
    found = []
    for pid in mine:
        if psutil.pid_exists(pid):
            for nursery in psutil.Process(pid).children():
                if "services.builder.engine" in " ".join(nursery.cmdline()):
                    found += nursery.children()
    return found


def test_a_queued_build_becomes_a_prefix_behind_a_symlink(system: System, database: Database) -> None:
    build_id = queue(database)
    strict = os.umask(0o077)
    system.start("builder")
    os.umask(strict)
    wait_state(database, build_id, "COMPLETED")
    for directory in (system.store, system.link("small").parent, system.link("small").parent.parent):
        assert directory.stat().st_mode & 0o777 == 0o755
    python = system.link("small").resolve() / "bin" / "python"
    said = subprocess.run([python, "-c", "import click, sys; print(sys.prefix)"], capture_output=True, text=True)
    with database.transaction() as session:
        build = builds.load(session, build_id)
        path = stores.path_of(session, build)
        assert said.stdout.strip() == f"{system.store}/{path}", said.stderr
        assert build.size > 10_000_000
        assert {"queue", "solve", "link"} <= set(build.timings)
        assert environments.load(session, "default", "small").current_build_id == build_id
        text = "".join(chunk.text for chunk in logs.chunks(session, build_id))
    assert "packages for linux-64" in text
    assert "completed" in text
    # the same again: the lock is known, the prefix is reused
    again = queue(database)
    wait_state(database, again, "COMPLETED")
    with database.transaction() as session:
        assert builds.load(session, again).prefix_id == builds.load(session, build_id).prefix_id


def test_an_unsolvable_specification_fails_at_once_in_the_solvers_words(system: System, database: Database) -> None:
    system.start("builder")
    build_id = queue(database, "name: no\nchannels: [conda-forge]\ndependencies: [python, numpy 99.*]\n")
    said = wait_state(database, build_id, "FAILED")
    assert said is not None
    assert "numpy" in said
    assert "99" in said
    with database.transaction() as session:
        build = builds.load(session, build_id)
        assert (build.reason, build.attempt) == ("unsolvable", 1)


def test_a_killed_child_costs_one_attempt(system: System, database: Database) -> None:
    system.start("builder", CONDARIUM_BUILDER_SLOTS="1")
    build_id = queue(database, LARGE)
    wait_for(lambda: state(database, build_id)[0] == "BUILDING", seconds=20)
    victims = wait_for(lambda: [p for p in engines(system) if staging(system)], seconds=20)
    for process in victims:
        process.kill()
    wait_state(database, build_id, "COMPLETED")
    with database.transaction() as session:
        assert builds.load(session, build_id).attempt == 2
        text = "".join(chunk.text for chunk in logs.chunks(session, build_id))
    assert "tried again at" in text


def staging(system: System) -> list[Path]:
    return list((system.store / ".staging").glob("*-*"))


def test_a_killed_builder_leaves_nothing_and_another_takes_over(system: System, database: Database) -> None:
    first = system.start("builder", **SHORT_LEASE)
    build_id = queue(database, LARGE)
    wait_for(lambda: staging(system), seconds=20)
    children = psutil.Process(first.process.pid).children(recursive=True)
    system.stop(first, hard=True)
    _, alive = psutil.wait_procs(children, timeout=patient(5))
    assert alive == []
    system.start("builder")
    wait_state(database, build_id, "COMPLETED")
    with database.transaction() as session:
        assert builds.load(session, build_id).attempt == 2


@pytest.mark.parametrize("with_children", [False, True])
def test_a_suspended_builder_cannot_publish_after_its_lease(
    system: System, database: Database, with_children: bool
) -> None:
    first = system.start("builder", **SHORT_LEASE)
    wait_state(database, queue(database, LARGE), "COMPLETED")  # the packages are in the cache then

    def frozen() -> list[psutil.Process]:
        return [psutil.Process(first.process.pid), *(engines(system) if with_children else [])]

    again = LARGE.replace("name: ", "name: again-", 1)
    with stopped_before_linking(system, lambda: queue(database, again), whom=frozen) as (build_id, _):
        system.start("builder")
        wait_state(database, build_id, "COMPLETED")
        with database.transaction() as session:
            finished = builds.load(session, build_id).ended_on
    wait_for(lambda: "the lease is lost" in first.log.read_text(), seconds=20)
    with database.transaction() as session:
        build = builds.load(session, build_id)
        assert (build.attempt, build.ended_on) == (2, finished)


@pytest.mark.parametrize("moment", ["solve", "link"])
def test_a_cancel_ends_a_running_build_within_two_seconds(system: System, database: Database, moment: str) -> None:
    system.start("builder", CONDARIUM_HEARTBEAT_SECONDS="1.5")
    build_id = queue(database, LARGE)
    if moment == "solve":
        wait_for(lambda: state(database, build_id)[0] == "BUILDING", seconds=20, every=0.005)
    else:
        wait_for(lambda: staging(system), seconds=20)
    # it would not end by itself: its child stands still
    for process in engines(system):
        process.suspend()
    with within(2):
        with database.transaction() as session:
            builds.cancel(session, builds.load(session, build_id, lock=True), actor="me")
        wait_state(database, build_id, "CANCELED", seconds=5)
    wait_for(lambda: all(not process.children() for process in engines(system)), seconds=5)


def test_a_stopping_builder_gives_back_what_it_cannot_finish(system: System, database: Database) -> None:
    service = system.start("builder", CONDARIUM_BUILDER_DRAIN_SECONDS="0")
    build_id = queue(database, LARGE)
    wait_for(lambda: staging(system), seconds=20)
    assert system.stop(service) == 0
    status, said = state(database, build_id)
    assert status in ("QUEUED", "COMPLETED")
    if status == "QUEUED":
        assert said is not None
        assert "stopped" in said


def test_a_full_disk_keeps_builds_queued_and_says_so(system: System, database: Database) -> None:
    system.start("builder", CONDARIUM_BUILDER_DISK_HARD_PERCENT="1", CONDARIUM_BUILDER_DISK_SOFT_PERCENT="1")
    build_id = queue(database)
    wait_for(lambda: state(database, build_id)[1], seconds=10)
    status, said = state(database, build_id)
    assert status == "QUEUED"
    assert said is not None
    assert said.startswith("disk ")
    assert " % on " in said


def test_a_fault_of_the_world_is_tried_again_and_then_given_up(system: System, database: Database) -> None:
    system.start(
        "builder",
        CONDARIUM_CHANNEL_MIRRORS=json.dumps({"conda-forge": ["http://127.0.0.1:9/none"]}),
        CONDARIUM_MAX_ATTEMPTS="2",
    )
    build_id = queue(database)
    said = wait_state(database, build_id, "FAILED")
    assert said is not None
    assert said.startswith("given up after 2 attempts: ")
    with database.transaction() as session:
        assert builds.load(session, build_id).attempt == 2


def test_two_builders_do_each_of_thirty_builds_once(system: System, database: Database) -> None:
    system.start("builder")
    system.start("builder")
    wanted = [queue(database, SMALL.replace("name: small", f"name: small{number}")) for number in range(30)]
    for build_id in wanted:
        wait_state(database, build_id, "COMPLETED", seconds=60)
    with database.transaction() as session:
        rows = [builds.load(session, build_id) for build_id in wanted]
        assert {row.attempt for row in rows} == {1}


def test_a_builder_that_starts_before_its_database_and_broker_waits_for_them(
    system: System, database: Database
) -> None:
    build_id = queue(database)
    port = urlsplit(database.url).port or 5432
    with forwarder(port) as way:
        service = system.launch("builder", CONDARIUM_DATABASE_URL=database.url.replace(f":{port}/", f":{way.port}/"))
        wait_for(lambda: "waiting for the database" in service.log.read_text(), seconds=30)
        way.open()
        wait_state(database, build_id, "COMPLETED")
        taken = urlsplit(service.health).port
        second = system.launch("builder", CONDARIUM_HEALTH_PORT=str(taken))
        assert second.process.wait(patient(30)) == 2
        system.services.remove(second)
        assert second.log.read_text().splitlines()[-1].startswith("CONDARIUM_HEALTH_PORT: cannot listen on 127.0.0.1:")
        assert system.stop(service) == 0
