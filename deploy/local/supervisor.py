"""The supervisor of one data directory: its configuration, its start and end, and orders to it."""

import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from deploy.local import processes
from deploy.local.layout import Layout
from deploy.local.problem import LocalProblem
from deploy.local.program import SERVICES, Program

NAME = "supervisord"
LOG_BYTES = "10MB"
LOG_BACKUPS = 3
START_SECONDS = 20.0


@dataclass(frozen=True)
class Condition:
    """One process as the supervisor sees it; `state` is its word: RUNNING, STARTING, BACKOFF, FATAL, STOPPED, ..."""

    name: str
    group: str
    state: str
    pid: int
    description: str
    ended_at: int


class Supervisor:
    """Speaks to supervisord over the socket in the data directory."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def pid(self) -> int | None:
        """The process id of the running supervisord, None when there is none."""
        for record in processes.records(self.layout.run):
            if record.name == NAME and record.lives():
                return record.pid
        return None

    def write_configuration(self, programs: Sequence[Program]) -> None:
        """Write supervisord.conf and the launch scripts; what runs is not touched."""
        run = self.layout.run
        for program in programs:
            script = run / f"{program.name}.sh"
            script.touch(mode=0o700)
            script.write_text(program.script(run))
        unfinished = self.layout.configuration.with_suffix(".new")
        unfinished.write_text(configuration(self.layout, programs))
        unfinished.replace(self.layout.configuration)

    def start(self) -> None:
        """Start supervisord; it starts no program by itself.

        Raises:
            LocalProblem: it ended, or does not answer.
        """
        layout = self.layout
        program = Program(
            name=NAME,
            group="",
            command=(sys.executable, "-m", "supervisor.supervisord", "-c", str(layout.configuration)),
            # The mark makes it findable even when its record is lost.
            environment={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), processes.MARK: f"unix://{layout.socket}"},
            directory=layout.data,
            priority=0,
            answers=self._answers,
            address="",
        )
        script = layout.run / f"{NAME}.sh"
        script.touch(mode=0o700)
        script.write_text(program.script(layout.run))
        with (layout.logs / "supervisord.out").open("wb") as output:
            process = subprocess.Popen(
                ["/bin/sh", str(script)],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > until:
                said = (layout.logs / "supervisord.out").read_text(errors="replace")
                raise LocalProblem(f"the supervisor did not start: {said.strip() or 'no answer'}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return bool(self._rpc().getState())
        except (OSError, xmlrpc.client.Error):
            return False

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.layout.socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor

    def conditions(self) -> dict[str, Condition]:
        """Every process by its name.

        Raises:
            LocalProblem: the supervisor does not answer.
        """
        try:
            found = self._rpc().getAllProcessInfo()
        except (OSError, xmlrpc.client.Error) as error:
            raise LocalProblem(f"the supervisor does not answer ({error}); run: make down && make up") from error
        return {
            item["name"]: Condition(
                name=item["name"],
                group=item["group"],
                state=item["statename"],
                pid=item["pid"],
                description=item["spawnerr"] or item["description"],
                ended_at=item["stop"],
            )
            for item in found
        }

    def apply_configuration(self) -> list[str]:
        """Take in a changed configuration: changed and vanished groups are stopped; returns their names."""
        rpc = self._rpc()
        [[added, changed, removed]] = rpc.reloadConfig()
        for group in self._stop_order([*changed, *removed]):
            rpc.stopProcessGroup(group)
            rpc.removeProcessGroup(group)
        for group in [*changed, *added]:
            rpc.addProcessGroup(group)
        return [*changed, *removed]

    def _stop_order(self, groups: Sequence[str]) -> list[str]:
        return sorted(groups, key=lambda group: (group != SERVICES, group))

    def start_process(self, program: Program) -> None:
        """Ask for its start, without waiting. Harmless when it runs."""
        try:
            self._rpc().startProcess(program.process, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise LocalProblem(f"{program.name} cannot be started: {fault.faultString}") from fault

    def stop_group(self, group: str) -> None:
        """Stop all processes of a group and wait until they have ended."""
        self._rpc().stopProcessGroup(group)

    def shut_down(self) -> None:
        """Ask supervisord to end, in order, whatever still runs."""
        self._rpc().shutdown()


def configuration(layout: Layout, programs: Sequence[Program]) -> str:
    """The text of supervisord.conf."""
    sections: list[tuple[str, Mapping[str, object]]] = [
        (
            NAME,
            {
                "nodaemon": "true",
                "silent": "true",
                "identifier": "condarium",
                "logfile": layout.logs / "supervisord.log",
                "logfile_maxbytes": LOG_BYTES,
                "logfile_backups": LOG_BACKUPS,
                "pidfile": layout.run / "supervisord.own-pid",
                "childlogdir": layout.logs,
                "umask": "022",
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
        ),
        ("unix_http_server", {"file": layout.socket, "chmod": "0700"}),
        ("supervisorctl", {"serverurl": f"unix://{layout.socket}"}),
        (
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *((f"program:{program.name}", _program(layout, program)) for program in programs),
    ]
    services = [program for program in programs if program.group == SERVICES]
    if services:
        names = ",".join(program.name for program in services)
        sections.append((f"group:{SERVICES}", {"programs": names, "priority": services[0].priority}))
    return "\n".join(_section(name, values) for name, values in sections)


def _program(layout: Layout, program: Program) -> dict[str, object]:
    return {
        # The digest is there so that the supervisor sees a change; the script does not read it.
        "command": f'/bin/sh "{layout.run / program.name}.sh" {program.digest(layout.run)}',
        "priority": program.priority,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        "startretries": 100,
        "stopsignal": program.stop_signal.name.removeprefix("SIG"),
        "stopwaitsecs": program.stop_seconds,
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": layout.logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": LOG_BACKUPS,
    }


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = "".join(f"{key}={str(value).replace('%', '%%')}\n" for key, value in values.items())
    return f"[{name}]\n{lines}"
