"""Services that eventlet made cooperative wait for their threads a while, then go on: also on Python 3.13."""

import subprocess
import sys

from tests.fixtures.patience import patient

PROGRAM = """
from condarium.messaging import bootstrap
bootstrap.patch()
import threading, time

release = threading.Event()
thread = threading.Thread(target=release.wait, daemon=True)
thread.start()
begun = time.monotonic()
for seconds in (0.0, 0.05, -1.0):
    thread.join(seconds)
assert thread.is_alive() and time.monotonic() - begun > 0.04

from eventlet import Timeout
try:
    with Timeout(0.05):
        thread.join(60)
    raise SystemExit("a timeout around it was swallowed")
except Timeout:
    pass

release.set()
thread.join(60)
assert not thread.is_alive()
thread.join()
print("joined")
"""


def test_join_returns_when_its_time_is_over() -> None:
    """Nobody releases the thread before: a join that waits for its end never returns."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=patient(60))
    assert (done.returncode, done.stdout) == (0, "joined\n"), done.stderr
