"""Which processes are ours: recorded by pid, start time and boot, and known by the supervisor's mark on them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Supervisor puts this variable into the environment of all that it starts, and they hand it down to their children.
MARK = "SUPERVISOR_SERVER_URL"
LISTENING = "0A"  # the state of a socket in /proc/net/tcp


@dataclass(frozen=True)
class Recorded:
    """One process as it was when it started; a later process with the same pid has another start time."""

    name: str
    pid: int
    started: int
    boot: str

    def lives(self) -> bool:
        return self.started == start_time(self.pid) and self.boot == BOOT_ID.read_text().strip()


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which the process started; None when there is none, or only a zombie."""
    try:
        # The name of the program stands in brackets and may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def records(directory: Path) -> list[Recorded]:
    """The records that launch scripts left (`<name>.pid`: pid, start time, boot id); broken ones are passed over."""
    found = []
    for file in sorted(directory.glob("*.pid")):
        with contextlib.suppress(OSError, ValueError):
            pid, started, boot = file.read_text().split()
            found.append(Recorded(file.stem, int(pid), int(started), boot))
    return found


def listens(pid: int, port: int) -> bool:
    """True when this very process listens on the TCP port: an answer from there may be another program's."""
    sockets = set()
    with contextlib.suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                sockets.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                own, state, inode = fields[1], fields[3], fields[9]
                if state == LISTENING and int(own.rpartition(":")[2], 16) == port and f"socket:[{inode}]" in sockets:
                    return True
    return False


def marked(socket: Path) -> list[int]:
    """Processes that descend from the supervisor with this control socket, as far as this user may look."""
    wanted = f"{MARK}=unix://{socket}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0") and start_time(int(entry)):
                found.append(int(entry))
    return found


def end(pids: Iterable[int], first: signal.Signals, seconds: float) -> None:
    """Ask with `first`, wait, then kill -9. Only pids that the caller has just proved to be ours."""
    waiting = {pid: start_time(pid) for pid in pids}
    for pid in waiting:
        _send(pid, first)
    until = time.monotonic() + seconds
    while waiting and time.monotonic() < until:
        waiting = {pid: started for pid, started in waiting.items() if started and start_time(pid) == started}
        time.sleep(0.05)
    for pid in waiting:
        _send(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while any(started and start_time(pid) == started for pid, started in waiting.items()):
        if time.monotonic() > until:
            break
        time.sleep(0.05)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
