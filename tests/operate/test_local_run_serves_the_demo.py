"""The five services under the supervisor: ready, told by the environment file, restarted when killed, demonstrated."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.local import processes
from tests.fixtures.answering import answers
from tests.fixtures.local_run import CHECKOUT, LocalRun
from tests.fixtures.patience import patient, wait_for

pytestmark = pytest.mark.system
SERVICES = {"api", "registry", "watcher-1", "builder-1", "packager-1"}
ENVIRONMENT = "name: tried\nchannels: [conda-forge]\ndependencies: [python, click]\n"


def test_the_demo_serves_an_environment_in_every_way_and_down_leaves_nothing(
    local_run: LocalRun, sample_channel: Path, tmp_path: Path, dockerd: str
) -> None:
    file = tmp_path / "small.yml"
    file.write_text("name: small\nchannels: [conda-forge]\ndependencies: [python, click, rich]\n")
    local_run.data.mkdir()
    # As hard links: the demo finds its sample channel made.
    shutil.copytree(sample_channel, local_run.data / "channel", copy_function=os.link)
    said = local_run("demo", str(file), DEMO_CHANNEL="sample", COLUMNS="200", DOCKER_HOST=dockerd)
    assert "conda-forge is mirrored by the sample channel" in said
    for line in ("directory", "lockfiles", "tarball", "image", "events"):
        assert f"  {line:<10} FAILED" not in said
        assert f"  {line:<10} " in said
    assert "docker run 127.0.0.1:" in said
    for hint in ("docker pull 127.0.0.1:", "no docker login needed", "events/?after=0", "condarium env create"):
        assert hint in said
    assert {name for name in local_run.pids() if name in SERVICES} == SERVICES
    assert "running" in local_run("status")

    _sourced_settings_start_every_command(local_run, tmp_path)
    _a_killed_service_comes_back(local_run)
    _another_number_of_copies_is_taken_in(local_run)
    _a_port_that_another_program_took_is_given_up(local_run)
    local_run("down")
    assert local_run.processes() == {}


def _sourced_settings_start_every_command(local_run: LocalRun, tmp_path: Path) -> None:
    settings = local_run.settings()
    (tmp_path / "environment.yml").write_text(ENVIRONMENT)
    command = "from condarium.cli.main import main; import sys; sys.exit(main())"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT / "shared"), "LANG": "C.UTF-8", **settings}
    for arguments in (["check-config"], ["env", "create", str(tmp_path / "environment.yml")]):
        done = subprocess.run(
            [sys.executable, "-c", command, *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=patient(60),
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (Path(settings["CONDARIUM_STORE"]) / "default/envs/tried/bin/python").exists()


def _a_killed_service_comes_back(local_run: LocalRun) -> None:
    pid = local_run.pids()["api"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: processes.start_time(pid) is None, seconds=5)
    url = local_run.settings()["CONDARIUM_API_URL"]
    wait_for(lambda: answers(httpx.get, f"{url}/readyz"), seconds=60)
    assert local_run.pids()["api"] != pid


def _another_number_of_copies_is_taken_in(local_run: LocalRun) -> None:
    before = local_run.pids()
    said = local_run("up", BUILDERS="2", WATCHERS="0")
    assert "builder-2    ready" in said
    after = local_run.pids()
    assert {"builder-1", "builder-2"} <= set(after)
    assert "watcher-1" not in after
    assert (after["postgres"], after["rabbitmq"]) == (before["postgres"], before["rabbitmq"])


def _a_port_that_another_program_took_is_given_up(local_run: LocalRun) -> None:
    before = local_run.pids()
    port = int(local_run.settings()["CONDARIUM_API_PORT"])
    # Held still, the supervisor cannot start the next gateway before the other program has the port.
    os.kill(before["supervisord"], signal.SIGSTOP)
    with socket.socket() as other:
        try:
            os.kill(before["api"], signal.SIGKILL)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # A process is a zombie as soon as its first thread has ended; the last one closes its sockets.
            wait_for(lambda: _takes(other, port), seconds=20)
            other.listen()
        finally:
            os.kill(before["supervisord"], signal.SIGCONT)
        said = local_run("up")
        assert f"port {port} is taken by another program; api gets" in said
        assert int(local_run.settings()["CONDARIUM_API_PORT"]) != port
        assert processes.listens(local_run.pids()["api"], int(local_run.settings()["CONDARIUM_API_PORT"]))


def _takes(sock: socket.socket, port: int) -> bool:
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
