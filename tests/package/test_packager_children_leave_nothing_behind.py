"""The child processes of builder and packager: JSON lines both ways, and no process left, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from condarium.work.child import Child, ChildFault, Warm, environment, spawned
from tests.fixtures.patience import patient, wait_for

ECHO = """
from condarium.work import parent
up = parent.attach(nice=1)
print("this goes to stderr and breaks nothing")
up.send("ready")
while True:
    message = up.receive()
    up.send("echo", **message)
"""

GRANDCHILD = """
import subprocess, sys, time
from condarium.work import parent
up = parent.attach()
inner = subprocess.Popen(parent.tied(["sleep", "1000"]))
up.send("ready")
up.send("inner", pid=inner.pid)
time.sleep(1000)
"""


def start(code: str, **options: int) -> Child:
    names = environment(os.environ, PYTHONPATH="shared")
    return spawned([sys.executable, "-c", code], environ=names, **options)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int) -> None:
    wait_for(lambda: is_gone(pid), what=f"{pid} to end")


def test_messages_go_both_ways_in_order() -> None:
    with start(ECHO) as child:
        child.wait_ready()
        for number in range(100):
            child.send({"number": number, "text": "é" * number})
        got = [child.receive(patient(10)) for _ in range(100)]
    assert [message["number"] for message in got if message] == list(range(100))
    assert got[5] == {"event": "echo", "number": 5, "text": "ééééé"}


def test_a_large_message_passes_whole() -> None:
    with start(ECHO) as child:
        child.wait_ready()
        child.send({"text": "x" * 3_000_000})
        message = child.receive(patient(30))
        assert message is not None
        assert len(message["text"]) == 3_000_000


def test_waiting_for_a_silent_child_ends_in_time() -> None:
    with start(ECHO) as child:
        child.wait_ready()
        with pytest.raises(TimeoutError):
            child.receive(0.05)
        child.send({"number": 1})
        assert child.receive(patient(10)) == {"event": "echo", "number": 1}


def test_kill_takes_grandchildren_along() -> None:
    child = start(GRANDCHILD)
    child.wait_ready()
    inner = child.receive(patient(10))
    assert inner is not None
    assert child.kill() == -signal.SIGKILL
    wait_until_gone(inner["pid"])
    assert child.kill() == -signal.SIGKILL


def test_a_child_that_dies_is_told_by_none_and_leaves_no_group() -> None:
    child = start(GRANDCHILD)
    child.wait_ready()
    inner = child.receive(patient(10))
    assert inner is not None
    os.kill(child.pid, signal.SIGKILL)
    assert child.receive(patient(10)) is None
    wait_until_gone(child.pid)
    # the leader is a zombie a moment before its last thread has gone
    wait_for(lambda: not child.alive, every=0.001)
    child.kill()
    wait_until_gone(inner["pid"])


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("print('no json', flush=True); import time; time.sleep(100)", "no JSON object"),
        ("print('[1]', flush=True); import time; time.sleep(100)", "no JSON object"),
        ("import sys; sys.exit(3)", "died while it started"),
        ("print('x' * 5000, flush=True); import time; time.sleep(100)", "more than 1000 bytes"),
        ("import time; time.sleep(100)", "not ready after 0.3 s"),
    ],
)
def test_a_child_that_breaks_the_protocol_is_killed_with_a_sentence(code: str, sentence: str) -> None:
    child = start(code, line_limit=1000)
    with pytest.raises(ChildFault, match=sentence):
        child.wait_ready(0.3 if "0.3" in sentence else 10)
    assert child.returncode is not None


def test_a_program_that_does_not_exist_is_a_sentence() -> None:
    with pytest.raises(ChildFault, match="could not be started"):
        spawned(["/nonexistent/program"], environ={})


def test_the_environment_holds_no_setting() -> None:
    found = environment(
        {"PATH": "/bin", "CONDARIUM_SECRET": "s", "AWS_SECRET_ACCESS_KEY": "s", "UV_X": "1"}, names=["UV_X"]
    )
    assert found == {"PATH": "/bin", "PYTHONUNBUFFERED": "1", "UV_X": "1"}


def test_a_warm_child_is_replaced_when_it_died_while_it_waited() -> None:
    warm = Warm(lambda: start(ECHO))
    warm.prepare()
    first = warm._spare
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: not first.alive)
    child = warm.take()
    assert child.pid != first.pid
    child.kill()
    warm.close()


@pytest.mark.parametrize("patched", [False, True], ids=["threads", "eventlet"])
def test_children_die_with_a_killed_parent(patched: bool) -> None:
    program = f"""
import sys
if {patched}:
    import eventlet; eventlet.monkey_patch()
import os, time
from condarium.work.child import Child, environment, spawned
child = spawned([sys.executable, "-c", {GRANDCHILD!r}], environ=environment(os.environ))
child.wait_ready()
print(child.pid, child.receive(10)["pid"], flush=True)
time.sleep(1000)
"""
    names = {**os.environ, "PYTHONPATH": "shared"}
    middle = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], env=names, stdout=subprocess.PIPE)
    assert middle.stdout is not None
    child, inner = map(int, middle.stdout.readline().split())
    middle.kill()
    middle.wait()
    middle.stdout.close()
    wait_until_gone(child)
    wait_until_gone(inner)


def test_under_eventlet_waiting_for_a_child_stops_nobody_else() -> None:
    program = """
import eventlet; eventlet.monkey_patch()
import os, sys, time
from condarium.work.child import Child, environment, spawned
ticks = []
def tick():
    while True:
        ticks.append(1); eventlet.sleep(0.01)
eventlet.spawn(tick)
def ticked(wait):
    before = len(ticks)
    result = wait()
    return result, len(ticks) - before
slow = '''
from condarium.work import parent; import time
up = parent.attach(); up.send("ready"); time.sleep(0.7); up.send("done"); time.sleep(100)
'''
def run():
    child = spawned([sys.executable, "-c", slow], environ=environment(os.environ))
    _, while_starting = ticked(child.wait_ready)
    message, while_working = ticked(lambda: child.receive(60))
    child.kill()
    return message["event"], while_starting > 0, while_working > 10
threads = [eventlet.spawn(run) for _ in range(2)]
print(*[t.wait() for t in threads])
"""
    names = {**os.environ, "PYTHONPATH": "shared"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=names, capture_output=True, text=True, timeout=patient(60)
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "('done', True, True) ('done', True, True)\n"
