"""However many packagers are asked at once, and whatever is killed, each piece is made once and none is lost."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from condarium.database import Database, artifacts, leases
from condarium.database.pieces import Known, Makers, known, record
from condarium.domain.artifact import ArtifactType
from condarium.domain.lock import Lock
from condarium.work.child import Child, spawned
from services.packager.children import Ticket, _Lane
from services.packager.jobs import PieceJob
from tests.fixtures.packager import RunningPackager, running_packager, start_renderer
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.patience import wait_for, within
from tests.fixtures.served import Served


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """Twelve packages, big enough for layers of their own."""
    directory = tmp_path / "channel"
    directory.mkdir()
    records = []
    for number in range(12):
        noise = b"".join((number * 7919 + i).to_bytes(4, "big") for i in range(300_000))
        record = make_package(directory, f"package{number:02}", [Put(f"share/p{number}", noise)])
        # the plan goes by the size in the record
        records.append(type(record)({**record.raw, "size": 2_000_000 + number}))
    return lock_of(records)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How often each piece was given to a child, in all packagers of this process."""
    count: Counter[tuple[str, str]] = Counter()
    guard = threading.Lock()
    run = _Lane._run

    def counted(self: _Lane, ticket: Ticket) -> dict[str, Any]:
        if isinstance(ticket.job, PieceJob):
            with guard:
                count[ticket.job.kind, ",".join(member.name for member in ticket.job.members)] += 1
        return run(self, ticket)

    monkeypatch.setattr(_Lane, "_run", counted)
    return count


def test_two_packagers_and_three_builds_at_once(
    content: Served, tmp_path: Path, lock: Lock, made: Counter[tuple[str, str]]
) -> None:
    with ExitStack() as stack:
        packagers = [stack.enter_context(running_packager(content, tmp_path / f"cache{n}")) for n in range(2)]
        builds = [packagers[0].build(f"env{n}", lock_with(lock, n), eager=["CONDA_PACK"]) for n in range(3)]
        packagers[1].slots.wake()
        for build_id in builds:
            packagers[0].wait(build_id, "CONDA_PACK")
            packagers[0].ask(build_id, "DOCKER_MANIFEST")
        packagers[1].slots.wake()
        for build_id in builds:
            packagers[0].wait(build_id, "DOCKER_MANIFEST")
    assert set(made.values()) == {1}, made
    assert len(made) == 24


def lock_with(lock: Lock, number: int) -> Lock:
    """Another lock of the same packages."""
    return lock_of(lock.conda, variables={"NUMBER": str(number)})


def test_known_pieces_touch_no_child(packager: RunningPackager, lock: Lock, made: Counter[tuple[str, str]]) -> None:
    first = packager.wait_all(packager.build("env", lock))
    before = sum(made.values())
    again = packager.wait_all(packager.build("env", lock_with(lock, 1)))
    assert sum(made.values()) == before
    assert {row.state for row in (*first.values(), *again.values())} == {"READY"}
    assert first["DOCKER_MANIFEST"].digest != again["DOCKER_MANIFEST"].digest
    same = packager.wait_all(packager.build("other", lock))
    assert same["DOCKER_MANIFEST"].digest == first["DOCKER_MANIFEST"].digest
    assert same["CONDA_PACK"].digest == first["CONDA_PACK"].digest


def test_one_more_package_is_one_more_member_and_one_more_layer(
    packager: RunningPackager, lock: Lock, made: Counter[tuple[str, str]], tmp_path: Path
) -> None:
    packager.wait_all(packager.build("env", lock))
    made.clear()
    extra = make_package(tmp_path, "extra", [Put("share/extra", b"extra")])
    packager.wait_all(packager.build("env", lock_of([*lock.conda, extra])))
    assert made == {("member", "extra"): 1, ("layer", "extra"): 1}


def test_a_killed_renderer_is_replaced_and_the_artifact_tried_again(
    content: Served, tmp_path: Path, lock: Lock
) -> None:
    started: list[Child] = []

    def start() -> Child:
        started.append(start_renderer())
        return started[-1]

    with running_packager(content, tmp_path / "cache", start=start, packager_slots=1) as packager:
        wait_for(lambda: started, seconds=60)
        build_id = packager.build("env", lock, eager=["CONDA_PACK"])
        wait_for(lambda: pieces_of(content), seconds=60)
        # Frozen first, so that it dies with a job in hand, however quick it is: between jobs its death costs nothing.
        os.kill(started[0].pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(started[0].pid, signal.SIGKILL)
        row = packager.wait(build_id, "CONDA_PACK")
        assert row.attempt == 2
        assert len(started) == 2
    assert all(child.returncode is not None for child in started)


def pieces_of(content: Served) -> int:
    with content.database.transaction() as session:
        return int(session.execute(text("select count(*) from pieces")).scalar_one())


def test_a_fault_of_the_world_is_tried_again_and_then_final(
    packager: RunningPackager, lock: Lock, tmp_path: Path
) -> None:
    gone = type(lock.conda[0])({**lock.conda[0].raw, "sha256": "ab" * 32})
    build_id = packager.build("env", lock_of([gone]), eager=["CONDA_PACK"])
    wait_for(lambda: "tried again at" in (packager.artifact(build_id, "CONDA_PACK").reason or ""), seconds=60)
    row = packager.wait(build_id, "CONDA_PACK", state="FAILED")
    assert row.attempt == 3
    assert row.reason is not None
    assert row.reason.startswith("given up after 3 attempts: ")
    assert "sha256" in row.reason


def test_a_package_that_is_missing_or_broken_is_final_at_once(
    packager: RunningPackager, lock: Lock, tmp_path: Path
) -> None:
    missing = type(lock.conda[0])(
        {**lock.conda[0].raw, "url": f"file://{tmp_path}/no-1.0-0.conda", "sha256": "cd" * 32}
    )
    row = packager.wait(packager.build("env", lock_of([missing]), eager=["CONDA_PACK"]), "CONDA_PACK", state="FAILED")
    assert row.attempt == 1
    assert row.reason is not None
    assert "no-1.0-0.conda" in row.reason
    broken = tmp_path / "broken-1.0-0.conda"
    broken.write_bytes(b"this is no package")
    from tests.fixtures.packages import record_of

    bad = record_of(broken, {**lock.conda[0].raw, "name": "broken"})
    build_id = packager.build("env", lock_of([bad]))
    rows = packager.wait_all(build_id)
    assert {kind: row.state for kind, row in rows.items()} == {
        "LOCKFILE": "READY",
        "YAML": "READY",
        "LOGS": "READY",
        "CONDA_PACK": "FAILED",
        "DOCKER_MANIFEST": "FAILED",
    }
    with packager.content.database.transaction() as session:
        query = text("select data from outbox where routing_key = 'environment.ready.v1' and build_id = :id")
        (data,) = session.execute(query, {"id": build_id}).scalars()
    assert sorted(data["failed"]) == ["CONDA_PACK", "DOCKER_MANIFEST"]


def test_a_failed_artifact_is_made_after_a_retry(packager: RunningPackager, lock: Lock, tmp_path: Path) -> None:
    path = Path(lock.conda[0].url.removeprefix("file://"))
    kept = path.read_bytes()
    path.unlink()
    build_id = packager.build("env", lock, eager=["CONDA_PACK"])
    packager.wait(build_id, "CONDA_PACK", state="FAILED")
    path.write_bytes(kept)
    with packager.content.database.transaction() as session:
        from condarium.database import builds

        artifacts.retry(session, builds.load(session, build_id), ArtifactType.CONDA_PACK, actor="me", source="api")
    packager.slots.wake()
    assert packager.wait(build_id, "CONDA_PACK").attempt == 1


def test_whoever_lost_its_lease_writes_nothing(content: Served, tmp_path: Path, lock: Lock) -> None:
    with running_packager(content, tmp_path / "cache", heartbeat_seconds=0.05) as packager:
        build_id = packager.build("env", lock, eager=["CONDA_PACK"])
        wait_for(lambda: packager.artifact(build_id, "CONDA_PACK").state == "MAKING", every=0.005)
        with content.database.transaction() as session:
            session.execute(text("update build_artifacts set owner = 'somebody else', attempt = 7"))
        time.sleep(1.5)
        row = packager.artifact(build_id, "CONDA_PACK")
        assert (row.state, row.owner, row.attempt) == ("MAKING", "somebody else", 7)


def test_an_expired_lease_is_taken_over_and_a_hopeless_one_ended(content: Served, tmp_path: Path, lock: Lock) -> None:
    made_by_a_dead_one = content.submit("env")
    content.solve(made_by_a_dead_one.build_id, lock, eager=("CONDA_PACK", "YAML"))
    content.complete(made_by_a_dead_one.build_id)
    with content.database.transaction() as session:
        for _ in range(2):
            held = leases.claim(session, artifacts.CLAIMABLE, owner="dead", lease_seconds=0.01)
            assert held is not None
        session.execute(text("update build_artifacts set attempt = 3 where artifact_type = 'YAML'"))
    with running_packager(content, tmp_path / "cache") as packager:
        assert packager.wait(made_by_a_dead_one.build_id, "CONDA_PACK").attempt == 2
        ended = packager.wait(made_by_a_dead_one.build_id, "YAML", state="FAILED")
        assert ended.reason == "given up: the packager died in each of 3 attempts"


def test_a_stop_gives_back_what_is_not_done(
    content: Served, tmp_path: Path, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.packager.slots.DRAIN_SECONDS", 0.5)
    with ExitStack() as stack:
        packager = stack.enter_context(
            running_packager(content, tmp_path / "cache", start=never_ready, packager_slots=1)
        )
        build_id = packager.build("env", lock, eager=["CONDA_PACK"])
        wait_for(lambda: packager.artifact(build_id, "CONDA_PACK").state == "MAKING", every=0.005)
        # whoever is not told is given up by each of those that wait after ten seconds
        with within(2):
            stack.close()
    row = packager.artifact(build_id, "CONDA_PACK")
    assert (row.state, row.owner, row.attempt) == ("REQUESTED", None, 0)


def never_ready() -> Child:
    return spawned(["sleep", "1000"], environ={"PATH": os.environ["PATH"]})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


def test_a_key_has_one_maker_until_it_is_dropped_or_dies(database: Database) -> None:
    one, other = Makers(database), Makers(database)
    key = "f0" * 32
    assert one.take(key)
    assert not other.take(key)
    assert other.take("0f" * 32)
    one.drop(key)
    assert other.take(key)
    other.close()
    # The server lets go of a session's locks a moment after its connection has closed.
    wait_for(lambda: one.take(key))
    one.close()
    with database.transaction() as session:
        record(session, Known(key, "ab" * 32, 5, {"a": 1}), kind="layer")
        record(session, Known(key, "ab" * 32, 5, {"a": 1}), kind="layer")
        assert known(session, [key, "00" * 32]) == {key: Known(key, "ab" * 32, 5, {"a": 1})}
