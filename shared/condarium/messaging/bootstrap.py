"""What a nameko process does before it imports anything else.

from condarium.messaging import bootstrap
bootstrap.patch()
from condarium...  # everything else
"""

import os
import sys
import warnings

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import eventlet  # it announces its own end on import; see the ADR on nameko at the edge
    eventlet.monkey_patch()


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
