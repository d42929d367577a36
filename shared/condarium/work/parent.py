"""A parent process as its child sees it; the other side of `child.py`."""

import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
from typing import Any

_PR_SET_PDEATHSIG = 1


class Parent:
    """Messages from and to the parent. `send` may be called by any thread."""

    def __init__(self, source: int, target: int) -> None:
        self._lock = threading.Lock()
        self._target = target
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(source,), name="parent", daemon=True).start()

    def receive(self) -> dict[str, Any]:
        """Waits for the next message. Never returns when the parent goes away: this process then ends."""
        return self._messages.get()

    def send(self, event: str, **fields: Any) -> None:
        text = json.dumps({"event": event, **fields}, ensure_ascii=False, separators=(",", ":"))
        # Lone surrogates stand for what was no UTF-8, in a file's name perhaps; a message must not die of them.
        line = text.encode("utf-8", "replace") + b"\n"
        with self._lock:
            view = memoryview(line)
            while view:
                view = view[os.write(self._target, view) :]

    def _read(self, source: int) -> None:
        with contextlib.suppress(OSError), open(source, "rb") as lines:
            for line in lines:
                self._messages.put(json.loads(line))
        _die()


def attach(*, nice: int = 0) -> Parent:
    """Called first thing in a child: takes over stdin and stdout, and ties this process's life to its parent's.

    What the program or a library prints from now on goes to stderr, so that it cannot break the protocol.
    """
    die_with_parent()
    if nice:
        os.nice(nice)
    source, target = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return Parent(source, target)


def tied(argv: list[str]) -> list[str]:
    """`argv` as a command that dies with the process that starts it: for programs that a child runs itself.

    The kernel clears the parent-death signal on fork but keeps it over exec; costs one bare interpreter start.
    Call it in the process that starts the program, just before.
    """
    code = (
        f"import ctypes,os,sys;ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG},9);"
        f"os.getppid()=={os.getpid()} or os._exit(1);os.execvp(sys.argv[1],sys.argv[1:])"
    )
    return [sys.executable, "-I", "-S", "-c", code, *argv]


def die_with_parent() -> None:
    """Has the kernel end this process with the one that started it."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _die()  # it went away before the kernel was told; the end of stdin would also say so


def _die() -> None:
    """Ends the whole group; only of this process when it does not lead one (run by hand)."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
