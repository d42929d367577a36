"""What a nameko process does before it imports anything else.

from condarium.messaging import bootstrap
bootstrap.patch()
from condarium...  # everything else
"""

import os
import sys
import warnings
from typing import Any

#: for calls that block in C (tpool); eventlet would start 20
BLOCKING_THREADS = "4"


def patch() -> None:
    """Makes the standard library cooperative, and psycopg with it.

    psycopg's own wait function blocks the whole process under eventlet: heartbeats stop and the broker hangs up.
    Raises RuntimeError when it comes too late.
    """
    if "psycopg" in sys.modules:
        raise RuntimeError("bootstrap.patch() comes too late: psycopg is imported already")
    os.environ["PSYCOPG_WAIT_FUNC"] = "wait_select"
    os.environ.setdefault("EVENTLET_THREADPOOL_SIZE", BLOCKING_THREADS)
    # eventlet's resolver costs 14 MB and knows no nsswitch; the C library's is asked in a thread instead
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import eventlet  # it announces its own end on import; see the ADR on nameko at the edge
    eventlet.monkey_patch()
    _resolve_in_threads()
    _join_returns()


def _resolve_in_threads() -> None:
    import socket

    from eventlet import tpool
    from eventlet.green import socket as green_socket
    from eventlet.patcher import original

    plain = original("socket")

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host is None or _is_address(plain, host):
            return plain.getaddrinfo(host, *arguments, **options)
        return tpool.execute(plain.getaddrinfo, host, *arguments, **options)

    socket.getaddrinfo = green_socket.getaddrinfo = getaddrinfo


def _join_returns() -> None:
    """`Thread.join(timeout)` returns when the time is over: on Python 3.13 eventlet's raises its own Timeout there."""
    from eventlet.green.thread import _ThreadHandle
    from eventlet.timeout import Timeout

    wait = _ThreadHandle.join

    def join(self: Any, timeout: float | None = None) -> None:
        with Timeout(timeout, False):  # False: it ends this block only; None: never
            wait(self)

    _ThreadHandle.join = join


def _is_address(plain: Any, host: Any) -> bool:
    for family in (plain.AF_INET, plain.AF_INET6):
        try:
            plain.inet_pton(family, host if isinstance(host, str) else host.decode())
        except (OSError, ValueError):
            continue
        return True
    return False


def patched() -> bool:
    """True in a process that called `patch`."""
    if "eventlet" not in sys.modules:
        return False
    from eventlet import patcher

    return bool(patcher.is_monkey_patched("thread"))


def check() -> None:
    """Raises RuntimeError in a nameko process whose database calls would block all others."""
    import psycopg

    if psycopg.waiting.wait is not psycopg.waiting.wait_select or not patched():
        raise RuntimeError("call condarium.messaging.bootstrap.patch() before anything else is imported")
