"""Prefixes that nothing needs: their rows and directories go together, unless a process uses them."""

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from condarium.conda.disk import free_fraction
from condarium.database import stores
from condarium.database.garbage import packages
from condarium.database.garbage import prefixes as rows
from condarium.database.garbage.expiry import Found
from condarium.domain.retention import Retention
from condarium.work.sweeper import Beat, tally
from services.builder.handlers import Work
from services.builder.store import expect_mounted
from services.builder.sweeping.aside import Aside

#: below the store: what is moved there is nobody's any more, and is deleted aside
TRASH = ".trash"
_PREFIX = re.compile(r"[0-9a-f]{12}-.+")
#: a directory without a row may be of a build that is just about to write it
_ORPHAN_SECONDS = 3600.0


def sweep(
    work: Work,
    environ: Mapping[str, str],
    retention: Retention,
    beat: Beat,
    *,
    dry_run: bool = False,
    until_free: float | None = None,
    free: Callable[[Path], float] = free_fraction,
) -> dict[str, Any]:
    """Deletes prefixes, least recently used first, until `until_free` of the disk is `free` or none is left."""
    store = work.store.directory
    expect_mounted(work.store)
    with work.database.transaction() as session:
        unneeded = rows.unneeded(session, work.store.id, retention)
        keep = packages.kept(session)
    found: list[Found] = []
    in_use: dict[str, str] = {}
    pointed_to = _pointed_to(store)
    with Aside(environ) as aside:
        for each in unneeded:
            beat()
            if until_free is not None and free(store) >= until_free:
                break
            users = aside.processes_in(store / each.path)
            if users or each.path in pointed_to:
                in_use[each.path] = users or "a symlink points to it"
                continue
            if dry_run or _discard(work, each, retention):
                found.append(Found("prefixes", 1, each.bytes))
                if not dry_run and until_free is not None:
                    aside.empty(store / TRASH)
        found += _orphans(work, retention, dry_run=dry_run)
        idle = max(retention.caches, 600.0)
        found += aside.clean(store / TRASH, work.settings.package_cache, keep, idle, dry_run=dry_run)
    report: dict[str, Any] = {"freed": tally(found), "in_use": in_use}
    return report | ({"dry_run": True} if dry_run else {})


def _discard(work: Work, each: rows.Unneeded, retention: Retention) -> bool:
    """Moves the directory away in the transaction that says so. A builder that would take the prefix waits for its
    end, and links anew."""
    with work.database.transaction() as session, rows.condemned(session, each.id, work.store.id, retention) as still:
        if still:
            _move_away(work.store.directory, each.path)
        return still


def _move_away(store: Path, path: str) -> None:
    trash = store / TRASH
    trash.mkdir(exist_ok=True)
    try:
        os.rename(store / path, trash / secrets.token_hex(8))
    except FileNotFoundError:
        return  # a sweep that died after the move: its transaction was undone


def _pointed_to(store: Path) -> set[str]:
    """What the symlinks of environments show now: an environment may wait for another prefix to be linked again."""
    found = set()
    for link in store.glob("*/envs/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        found.add(f"{link.parent.parent.name}/{target.removeprefix('../')}")
    return found


def _orphans(work: Work, retention: Retention, *, dry_run: bool) -> Iterator[Found]:
    """Directories that no row knows, such as those of a builder that died between the rename and its commit."""
    store = work.store.directory
    old = time.time() - max(retention.grace, _ORPHAN_SECONDS)
    with work.database.transaction() as session:
        known = rows.known_paths(session, work.store.id)
    for directory in sorted(store.glob("*/*-*")):
        path = f"{directory.parent.name}/{directory.name}"
        if path in known or directory.parent.name.startswith(".") or not _PREFIX.fullmatch(directory.name):
            continue
        if not directory.is_dir() or directory.is_symlink() or directory.stat().st_mtime > old:
            continue
        with work.database.transaction() as session:
            stores.lock_prefix(session, path)
            if path in rows.known_paths(session, work.store.id) or rows.is_building(
                session, directory.parent.name, path
            ):
                continue
            if not dry_run:
                _move_away(store, path)
        yield Found("directories without a row", 1)
    for path in sorted(known) if not dry_run else ():
        if not (store / path).is_dir():
            expect_mounted(work.store)
            with work.database.transaction() as session:
                rows.forget_missing(session, work.store.id, path, (store / path).is_dir)
