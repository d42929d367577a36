"""A builder's children come out of one process that has everything imported; none outlives builder or nursery."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from condarium.work.child import Child, ChildFault, environment
from condarium.work.nursery import Nursery
from tests.fixtures.patience import patient, wait_for

SERVES = """
import os, sys, time
from condarium.work.nursery import serve

def work(up):
    up.send("ready")
    message = up.receive()
    if message.get("fail"):
        raise SystemExit("what went wrong")
    time.sleep(message.get("seconds", 0))
    up.send("said", pid=os.getpid(), group=os.getpgrp(), secret=os.environ.get("CONDARIUM_SECRET"), **message)

serve(work)
"""


@pytest.fixture
def nursery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    monkeypatch.setenv("CONDARIUM_SECRET", "hush")
    made = Nursery([sys.executable, "-c", SERVES], environ=environment(os.environ, PYTHONPATH="shared"))
    yield made
    made.close()


def began(nursery: Nursery) -> Child:
    child = Child(nursery.fork)
    child.wait_ready()
    return child


def wait_until_gone(pid: int) -> None:
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), what=f"{pid} to end")


def test_a_child_talks_leads_its_group_and_sees_no_secret(nursery: Nursery) -> None:
    with began(nursery) as child:
        child.send({"text": "é" * 100_000})
        said = child.receive(patient(10))
        assert said is not None
        assert (said["pid"], said["group"], said["secret"]) == (child.pid, child.pid, None)
        assert said["text"] == "é" * 100_000
        assert child.receive(patient(10)) is None
        assert child.kill() == 0
    wait_until_gone(child.pid)


def test_children_have_one_parent_which_keeps_what_it_imported(nursery: Nursery) -> None:
    children = [began(nursery) for _ in range(5)]
    parents = {int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for child in children}
    assert len(parents) == 1
    assert os.getpid() not in parents
    assert all(child.alive for child in children)
    assert [child.kill() for child in children] == [-signal.SIGKILL] * 5
    for child in children:
        wait_until_gone(child.pid)


def test_a_child_that_fails_says_why_and_takes_nobody_along(
    nursery: Nursery, capfd: pytest.CaptureFixture[str]
) -> None:
    with began(nursery) as other, began(nursery) as child:
        child.send({"fail": True})
        assert child.receive(patient(10)) is None
        assert child.kill() == 1
        assert other.alive
    assert "what went wrong" in capfd.readouterr().err


def test_a_dead_nursery_takes_its_children_along_and_another_one_begins(nursery: Nursery) -> None:
    child = began(nursery)
    home = int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(home, signal.SIGKILL)
    assert child.receive(patient(10)) is None
    assert child.kill() == -signal.SIGKILL
    wait_until_gone(child.pid)
    with began(nursery) as next_one:
        next_one.send({"n": 1})
        assert (next_one.receive(patient(10)) or {})["n"] == 1


def test_a_dead_parent_takes_the_nursery_and_all_children_along() -> None:
    code = f"""
import os, sys, time
from condarium.work.child import Child, environment
from condarium.work.nursery import Nursery
nursery = Nursery([sys.executable, "-c", {SERVES!r}], environ=environment(os.environ))
children = [Child(nursery.fork) for _ in range(3)]
for child in children:
    child.wait_ready()
print(*[child.pid for child in children], nursery._process.pid, flush=True)
time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "shared"}
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 4
        parent.kill()
        for each in pids:
            wait_until_gone(each)


def test_a_nursery_that_cannot_start_is_a_fault_of_the_world(tmp_path: Path) -> None:
    with pytest.raises(ChildFault, match="could not be started"):
        Child(Nursery([str(tmp_path / "nothing")], environ={}).fork)
    with pytest.raises(ChildFault, match="answers no more"):
        Child(Nursery(["false"], environ=dict(os.environ)).fork)


EVENTLET = """
import eventlet; eventlet.monkey_patch()
import os, sys, time
from condarium.work.child import Child, environment
from condarium.work.nursery import Nursery
beats = []
def tick():
    while True:
        beats.append(1); eventlet.sleep(0.01)
eventlet.spawn(tick)
def beaten(wait):
    before = len(beats)
    return wait(), len(beats) - before
nursery = Nursery([sys.executable, "-c", SERVES], environ=environment(os.environ))
for number in range(3):
    # the first one waits until the nursery has imported what it needs
    child, while_starting = beaten(lambda: Child(nursery.fork))
    with child:
        child.wait_ready()
        child.send({"seconds": 0.5, "n": number})
        said, while_working = beaten(lambda: child.receive(60))
        assert said["n"] == number
    print(number > 0 or while_starting > 0, while_working > 10)
nursery.close()
"""


def test_the_hub_of_a_nameko_process_goes_on_meanwhile() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"SERVES = {SERVES!r}\n{EVENTLET}"],
        capture_output=True,
        text=True,
        timeout=patient(60),
        env={**os.environ, "PYTHONPATH": "shared"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True True\n" * 3
