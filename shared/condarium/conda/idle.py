"""Packages in a host's cache that nobody has used for long."""

import os
import time
from pathlib import Path

from condarium.conda.disk import drop_packages


def drop_idle_packages(
    package_cache: Path, *, keep: frozenset[str], older_seconds: float, dry_run: bool = False
) -> tuple[int, int]:
    """Drops entries whose archive's sha256 is not in `keep` and that were not used for so long; how many, and the bytes
    of those of their files that no prefix holds by a hard link. Safe while others build."""
    old = time.time() - older_seconds
    names = []
    size = 0
    for lock in sorted(package_cache.glob("*.lock")):
        entry = lock.with_suffix("")
        try:
            sha256 = lock.read_bytes()[8:40].hex()
            if sha256 in keep or entry.stat().st_mtime > old:
                continue
        except OSError:
            continue
        names.append(entry.name)
        size += _own_bytes(entry)
    if names and not dry_run:
        drop_packages(package_cache, names)
    return len(names), size


def _own_bytes(directory: Path) -> int:
    total = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                stat = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            total += stat.st_size if stat.st_nlink == 1 else 0
    return total
