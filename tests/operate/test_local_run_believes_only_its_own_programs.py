"""An answer on a program's port counts only when the program itself listens there: two runs on one machine collide."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import processes, settings, stack
from deploy.local.layout import Layout
from deploy.local.program import SERVICES, Program
from deploy.local.supervisor import Condition, Supervisor


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def other_pid() -> Iterator[int]:
    """A process that listens nowhere."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


class Restarting(Supervisor):
    """A supervisor whose program runs, or ends and is started again, at each look at it."""

    def __init__(self, layout: Layout, pid: int, *, ends: bool) -> None:
        super().__init__(layout)
        self.program_pid, self.ends, self.looks = pid, ends, 0

    def start_process(self, program: Program) -> None:
        """It is started already."""

    def conditions(self) -> dict[str, Condition]:
        self.looks += 1
        ended_at = self.looks if self.ends else 0
        return {"api": Condition("api", SERVICES, "RUNNING", self.program_pid, "", ended_at)}


def api(port: int, directory: Path) -> Program:
    return Program("api", SERVICES, ("true",), {}, directory, 1, lambda: True, f"127.0.0.1:{port}", port)


def test_a_process_listens_on_its_own_ports_only(listener: int, other_pid: int) -> None:
    assert processes.listens(os.getpid(), listener)
    assert not processes.listens(other_pid, listener)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert not processes.listens(os.getpid(), silent.getsockname()[1])
    assert not processes.listens(2**22 + 1, listener)


def test_an_answer_from_another_program_is_not_readiness(listener: int, other_pid: int, tmp_path: Path) -> None:
    layout = settings.read({"CONDARIUM_DATA_DIR": str(tmp_path)}, Path("/somewhere/condarium")).layout
    program = api(listener, tmp_path)
    stack._start(Restarting(layout, os.getpid(), ends=False), [program], layout)
    with pytest.raises(stack.PortTaken, match=f"another program listens on 127.0.0.1:{listener}"):
        stack._start(Restarting(layout, other_pid, ends=True), [program], layout)
