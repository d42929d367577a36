"""Children forked from one process that has everything imported: ready in milliseconds instead of a Python start.

Two sides, as `child.py` and `parent.py` are. The parent holds a `Nursery` and gives its `fork` to `Child`. The nursery
itself is a program of one thread that imports, calls `serve`, and forks itself whenever it is asked; never the parent,
whose threads and connections a fork would copy. A forked child is its own process group and dies with the nursery,
which dies with the parent. It stays a zombie until the parent has it reaped, so its id is never somebody else's.

Asked over a socket of packets: `fork` with a descriptor, answered by the child's id; `reap ID`, answered by its exit
status, as `subprocess` counts. `error ...` is what went wrong.
"""

import _socket  # the C type: under eventlet only it can pass descriptors
import array
import contextlib
import gc
import os
import signal
import socket
import subprocess
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from condarium.work.child import ChildFault
from condarium.work.parent import Parent, attach, die_with_parent

_PACKET = 256
#: for imports on a machine that does much else
START_SECONDS = 60.0


class Nursery:
    """The parent's side; started at the first use, and again when it has died. May be used by any thread."""

    def __init__(self, argv: Sequence[str], *, environ: Mapping[str, str]) -> None:
        self._argv, self._environ = list(argv), dict(environ)
        self._asking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def fork(self, descriptor: int) -> "Forked":
        """A child whose stdin and stdout are `descriptor`. Raises ChildFault."""
        with self._asking:
            answer = self._ask("fork", descriptor)
            assert self._process is not None
            return Forked(self, self._process.pid, int(answer))

    def reap(self, nursery: int, pid: int) -> int:
        """The exit status of a dead child; that of a kill when its nursery, whose id is given, is gone."""
        with self._asking:
            if self._process is None or self._process.pid != nursery or self._process.poll() is not None:
                return -signal.SIGKILL
            try:
                return int(self._ask(f"reap {pid}"))
            except ChildFault:
                return -signal.SIGKILL

    def close(self) -> None:
        """Ends it, and with it every child."""
        with self._asking:
            self._close()

    def _ask(self, request: str, *descriptors: int) -> str:
        if self._process is None or self._process.poll() is not None:
            self._close()
            self._start()
        assert self._socket is not None
        try:
            with contextlib.closing(_socket.socket(fileno=os.dup(self._socket.fileno()))) as sender:
                sender.sendmsg(
                    [request.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", descriptors))]
                )
            answer = self._socket.recv(_PACKET).decode()
            if not answer:
                raise OSError("it has died")
        except OSError as error:
            self._close()
            raise ChildFault(f"the process that child processes are made of answers no more: {error}") from error
        if answer.startswith("error"):
            raise ChildFault(f"no child process can be made: {answer.removeprefix('error ')}")
        return answer

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            os.set_blocking(theirs.fileno(), True)
            self._process = subprocess.Popen(
                self._argv, stdin=theirs.fileno(), stdout=2, env=self._environ, umask=0o022, start_new_session=True
            )
        except OSError as error:
            ours.close()
            raise ChildFault(f"{self._argv[0]} could not be started: {error.strerror}") from error
        finally:
            theirs.close()
        ours.settimeout(START_SECONDS)
        self._socket = ours

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Forked:
    """A child of a nursery, as `child.Process` describes it."""

    def __init__(self, nursery: Nursery, home: int, pid: int) -> None:
        self._nursery, self._home, self.pid = nursery, home, pid
        self._since = _state(pid)[1]

    def runs(self) -> bool:
        """Whether the program still runs; False for a zombie."""
        state, since = _state(self.pid)
        return state not in ("Z", "X", "") and since == self._since

    def kill_group(self) -> None:
        # Once its nursery is gone nobody holds the id any more; then it may be somebody else's.
        if _state(self.pid)[1] == self._since:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        return self._nursery.reap(self._home, self.pid)


def serve(work: Callable[[Parent], None]) -> None:
    """The nursery's own side; returns when the parent has gone. `work` is done in each child, which then ends."""
    die_with_parent()
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    gc.collect()
    gc.freeze()  # what is there stays shared with the children
    alive: set[int] = set()
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, _PACKET, 1)
        if not request:
            break
        verb, _, which = request.decode().partition(" ")
        try:
            if verb == "fork":
                pid = _fork(control, descriptors[0], work)
                alive.add(pid)
                answer = pid
            else:
                answer = os.waitstatus_to_exitcode(os.waitpid(int(which), 0)[1])
                alive.discard(int(which))
        except OSError as error:
            control.send(f"error {error}"[:_PACKET].encode())
        else:
            control.send(str(answer).encode())
        finally:
            for each in descriptors:
                os.close(each)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _fork(control: socket.socket, descriptor: int, work: Callable[[Parent], None]) -> int:
    """Returns the child's id once it leads its group; never returns in the child."""
    done, leads = os.pipe()
    pid = os.fork()
    if pid:
        os.close(leads)
        os.read(done, 1)
        os.close(done)
        return pid
    status = 1
    try:
        os.close(done)
        control.close()
        os.setsid()
        os.write(leads, b".")
        os.close(leads)
        os.dup2(descriptor, 0)
        os.dup2(descriptor, 1)
        os.close(descriptor)
        work(attach())
        status = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        # Not by the interpreter's orderly end: what the nursery would do at its own is not ours to do.
        os._exit(status)


def _state(pid: int) -> tuple[str, str]:
    """The kernel's letter for the state of a process, and when it began; empty for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
