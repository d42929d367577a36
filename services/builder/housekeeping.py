"""Keeps the store tidy: symlinks that differ from their rows, staging of dead attempts, room on the disk.

What reads or deletes many files runs in a process of its own (`python -m services.builder.housekeeping`): it would
hold up the heartbeats of this one.
"""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from condarium import log
from condarium.conda.disk import exclusive
from condarium.conda.room import make_room
from condarium.database import Database, solves, usage
from condarium.database.tables import Build
from condarium.domain.build import Status
from condarium.errors import CondariumError
from condarium.work.parent import tied
from services.builder import symlink
from services.builder.handlers import Work
from services.builder.job import SOLVE_STAGING, STAGING_LOCK
from services.builder.store import disk_percent

RENDER_SECONDS = 30.0
STAGING = re.compile(r"(\d+)-(\d+)")
#: a solve has ended, or died, after this long
SOLVE_SECONDS = 3600.0
#: how far below the soft watermark eviction goes, in points of percent
MARGIN = 2.0

logger = log.get(__name__)


class Housekeeping:
    """A thread that tidies at start and every half minute."""

    def __init__(self, work: Work, environ: Mapping[str, str]) -> None:
        """`environ` is what the process of its own gets."""
        self._work, self._environ = work, dict(environ)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(5.0)

    def _serve(self) -> None:
        while True:
            try:
                self._tidy()
            except (CondariumError, OSError) as error:
                logger.warning("housekeeping is put off", reason=str(error))
            except Exception:
                logger.exception("housekeeping failed; it goes on")
            if self._stopped.wait(RENDER_SECONDS):
                return

    def _tidy(self) -> None:
        work = self._work
        symlink.render_all(work.database, work.store.directory)
        with work.database.transaction() as session:
            usage.measure(session)
        with work.database.transaction() as session:
            solves.forget(session)
        orders = [f"--remove={path}" for path in dead_staging(work.database, work.store.directory)]
        percent, soft = disk_percent(work.store.directory), work.settings.builder_disk_soft_percent
        if percent >= soft:
            logger.warning("the disk is filling; the package cache is evicted", percent=round(percent, 1))
            orders += [f"--cache={work.settings.package_cache}", f"--free={1 - (soft - MARGIN) / 100:.4f}"]
        if orders:
            command = tied([sys.executable, "-m", "services.builder.housekeeping", *orders])
            done = subprocess.run(command, check=False, env=self._environ, stdin=subprocess.DEVNULL)
            if done.returncode:
                logger.warning("tidying up failed; it is tried again", status=done.returncode)


def dead_staging(database: Database, store: Path) -> list[Path]:
    """Staging directories of attempts that nobody works on; of solves those that are old."""
    old = time.time() - SOLVE_SECONDS
    forgotten = [path for path in (store / ".staging").glob(f"{SOLVE_STAGING}*") if _changed(path) < old]
    found = {
        (int(match[1]), int(match[2])): path
        for path in (store / ".staging").glob("*-*")
        if (match := STAGING.fullmatch(path.name))
    }
    if not found:
        return sorted(forgotten)
    with database.transaction() as session:
        alive = session.execute(
            select(Build.id, Build.attempt).where(
                Build.id.in_({build for build, _ in found}), Build.status == Status.BUILDING
            )
        ).all()
    for row in alive:
        found.pop((row[0], row[1]), None)
    return sorted([*found.values(), *forgotten])


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def main(arguments: list[str]) -> None:
    """`--remove=DIR` deletes a staging directory, `--cache=DIR --free=FRACTION` evicts packages."""
    values = dict(argument[2:].split("=", 1) for argument in arguments if not argument.startswith("--remove="))
    for argument in arguments:
        if argument.startswith("--remove="):
            _remove(Path(argument.removeprefix("--remove=")))
    if "cache" in values:
        make_room(Path(values["cache"]), until_free=float(values["free"]))


def _remove(staging: Path) -> None:
    """A child that was frozen past its lease may go on: it must not publish what is half deleted."""
    with exclusive(staging / STAGING_LOCK, blocking=False) as dead:
        if dead:
            shutil.rmtree(staging, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
