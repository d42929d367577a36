"""Rollback, cancel and delete through REST, while a slow build is under way: what people decided stands."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.fixtures.patience import wait_for, within
from tests.fixtures.standstill import stopped_before_linking
from tests.fixtures.system import System, running_system

SPECIFICATION = "name: {}\nchannels: [conda-forge]\ndependencies: [python, click]\nvariables: {{VERSION: '{}'}}\n"


@pytest.fixture
def system(database_url: str, amqp_url: str, sample_channel: Path) -> Iterator[System]:
    with running_system(
        database_url=database_url, amqp_url=amqp_url, channel=sample_channel, services=("api", "builder")
    ) as system:
        # the packages are in the cache then
        system.wait_build(submit(system, "warm", "up"))
        yield system


def submit(system: System, name: str, version: str) -> int:
    return system.submit(SPECIFICATION.format(name, version))


@contextmanager
def slow(system: System, name: str, version: str) -> Iterator[tuple[int, psutil.Process]]:
    """A build that stands still until the block ends, and the process that works on it."""
    with stopped_before_linking(system, lambda: submit(system, name, version)) as standing:
        yield standing


def current(system: System, name: str) -> int | None:
    reply = system.api.get(f"/api/v1/environment/default/{name}/")
    return reply.json()["data"]["current_build_id"] if reply.status_code == 200 else None


def version_of(system: System, name: str) -> str:
    """What the directory that the symlink points to was made of; empty before there is one."""
    state = system.store / "default" / "envs" / name / "conda-meta" / "state"
    return state.read_text() if state.exists() else ""


def test_a_rollback_stands_against_a_slow_older_build(system: System) -> None:
    first = submit(system, "env", "one")
    system.wait_build(first)
    with slow(system, "env", "two") as (older, _):
        newer = submit(system, "env", "three")
        system.wait_build(newer)
        assert current(system, "env") == newer
        reply = system.api.put("/api/v1/environment/default/env/", json={"build_id": first})
        assert reply.status_code == 200, reply.text
        assert current(system, "env") == first
        wait_for(lambda: '"one"' in version_of(system, "env"), seconds=10)
    system.wait_build(older)
    time.sleep(0.3)
    assert current(system, "env") == first
    assert '"one"' in version_of(system, "env")
    last = submit(system, "env", "four")
    system.wait_build(last)
    assert current(system, "env") == last
    wait_for(lambda: '"four"' in version_of(system, "env"), seconds=10)


def test_a_cancel_ends_a_build_soon_and_a_retry_finishes_it(system: System) -> None:
    with slow(system, "env", "one") as (running, process):
        with within(3):
            reply = system.api.put(f"/api/v1/build/{running}/cancel/")
            assert reply.status_code == 200, reply.text
            build = system.wait_build(running, status="CANCELED", seconds=10)
        assert build["status_info"] == "canceled"
        wait_for(lambda: not process.is_running(), seconds=5)
    assert not os.path.lexists(system.store / "default" / "envs" / "env")
    assert system.api.put(f"/api/v1/build/{running}/retry/").status_code == 200
    system.wait_build(running)
    assert current(system, "env") == running
    wait_for(lambda: '"one"' in version_of(system, "env"), seconds=10)


def test_an_environment_deleted_and_made_again_knows_nothing_of_the_old_build(system: System) -> None:
    with slow(system, "env", "old") as (old, _):
        reply = system.api.delete("/api/v1/environment/default/env/")
        assert reply.status_code == 200, reply.text
        new = submit(system, "env", "new")
        system.wait_build(new)
    system.wait_build(old, status="CANCELED", seconds=10)
    assert current(system, "env") == new
    wait_for(lambda: '"new"' in version_of(system, "env"), seconds=10)
    assert system.api.delete("/api/v1/environment/default/env/").status_code == 200
    wait_for(lambda: not os.path.lexists(system.store / "default" / "envs" / "env"), seconds=10)
