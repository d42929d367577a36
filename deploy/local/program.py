"""One supervised program: how it is started, stopped, and asked whether it is ready."""

import hashlib
import shlex
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVICES = "services"


@dataclass(frozen=True)
class Program:
    """`priority` orders starts, and in reverse stops; `group` is "services", or the name for infrastructure."""

    name: str
    group: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    priority: int
    answers: Callable[[], bool] = field(compare=False)
    address: str
    port: int | None = None  # where only the process itself may listen, no child of it
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 30

    @property
    def process(self) -> str:
        """The supervisor's name of it."""
        return f"{self.group}:{self.name}"

    def script(self, run: Path) -> str:
        """The launch script: records who it is, then becomes the program, so that the record stays true."""
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(self.environment.items()))
        record = shlex.quote(str(run / f"{self.name}.pid"))
        return (
            "# Made by `make up`, which makes it anew; changes are lost.\n"
            "read -r stat < /proc/$$/stat\n"
            "read -r boot < /proc/sys/kernel/random/boot_id\n"
            "set -- ${stat##*) }\n"  # the fields after the program's name: the 20th is the start time
            "shift 19\n"
            f'echo "$$ $1 $boot" > {record}\n'
            "umask 022\n"
            f"{exports}"
            f"cd {shlex.quote(str(self.directory))} || exit 1\n"
            f"exec {shlex.join(self.command)}\n"
        )

    def digest(self, run: Path) -> str:
        """Changes when anything about the start changes: the supervisor then sees a changed program."""
        return hashlib.sha256(self.script(run).encode()).hexdigest()[:12]


def ready_over_http(address: str, port: int) -> Callable[[], bool]:
    """Asks /readyz."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:{port}/readyz", timeout=3) as reply:
                return int(reply.status) == 200
        except (urllib.error.URLError, OSError, ValueError):
            return False

    return answers
