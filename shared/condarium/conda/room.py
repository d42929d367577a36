"""Making room on a builder's disk: everything that the engine keeps in its cache directory, cheapest loss first."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from condarium.conda.disk import INTERPRETERS, PACKAGES, WHEELS, evict_packages, free_fraction, sweep
from condarium.conda.uv import binary

_KEEP_SECONDS = 600.0
_UV_SECONDS = 120


def make_room(cache: Path, *, until_free: float, keep_seconds: float = _KEEP_SECONDS) -> int:
    """Evict from `cache` until the fraction `until_free` of its disk is free; returns the packages dropped.

    First what killed processes left, then idle interpreters (their files are the packages', so they go before
    them), then packages least recently used, and last uv's wheels as a whole. Safe while others build.
    """
    sweep(cache / PACKAGES)
    if free_fraction(cache) >= until_free:
        return 0
    _drop_interpreters(cache / INTERPRETERS, time.time() - keep_seconds)
    count = evict_packages(cache / PACKAGES, until_free=until_free, keep_seconds=keep_seconds)
    if free_fraction(cache) < until_free and (cache / WHEELS).is_dir():
        _clean_uv(cache / WHEELS)
    return count


def _drop_interpreters(directory: Path, older: float) -> None:
    for prefix in directory.glob("[!.]*"):
        if prefix.stat().st_mtime < older:
            shutil.rmtree(prefix, ignore_errors=True)


def _clean_uv(cache: Path) -> None:
    """uv waits for its own running processes; if they take too long, the next time will do."""
    command = [binary(), "cache", "clean", "--quiet", "--cache-dir", os.fspath(cache)]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_UV_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return
