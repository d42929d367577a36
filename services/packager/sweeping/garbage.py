"""Garbage in the database, in storage and in the archive cache, in the order that ADR 0022 explains."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from condarium.conda.disk import drop_idle_files, free_fraction
from condarium.database import settings
from condarium.database.garbage import blobs, expiry, housekeeping, references, roots
from condarium.database.garbage.expiry import Found
from condarium.domain.retention import Retention
from condarium.storage import Entry
from condarium.work.sweeper import Beat, tally
from services.packager.handlers import Work
from services.packager.pieces import forget_leftovers

#: keys of storage that are looked at, and bytes that are deleted, between two looks at the clock
LISTED, DELETED = 1000, 50
#: where the renderers write what is not stored yet
SPOOL = ".spool"
#: deleted between two looks at how much is free
BETWEEN_LOOKS = 10

#: the part of a file system that is free, 0 to 1
Free = Callable[[], float]


@dataclass(frozen=True)
class Until:
    """When a sweep ends early: at the part `share` of the disk; None for never."""

    share: float | None
    free: Free

    @property
    def is_set(self) -> bool:
        return self.share is not None

    def reached(self) -> bool:
        return self.share is not None and self.free() >= self.share

    def batch(self, most: int) -> int:
        return BETWEEN_LOOKS if self.is_set else most


def sweep(
    work: Work,
    deployment: Mapping[str, Any],
    retention: Retention,
    beat: Beat,
    *,
    until_free: float | None = None,
    free: Free | None = None,
) -> dict[str, Any]:
    """Deletes what nothing needs. `until_free` ends it early, when that part of the file system is `free`; then it
    takes first what was used least recently."""
    until = Until(until_free, free or (lambda: _free(work)))
    with work.database.transaction() as session:
        found = _expire(session, deployment, retention)
        kept = roots.counts(session, retention)
    # Here and below, in this order: who names something from now on has begun before, and is at work still or has
    # written what is looked at next.
    with work.database.transaction() as session:
        before = expiry.started(session)
    with work.database.transaction() as session:
        found += _forget(session, retention, before)
    beat()
    with work.database.transaction() as session:
        references.gather(session, retention)
    for batch in _listed(work):
        beat()
        with work.database.transaction() as session:
            blobs.condemn(session, _garbage(session, batch, retention))
    with work.database.transaction() as session:
        before = expiry.started(session)
    with work.database.transaction() as session:
        references.gather(session, retention)
        blobs.spare_named(session)
    found += _delete(work, retention, before, until, beat)
    with work.database.transaction() as session:
        blobs.forget_tombstones(session, before=before)
        waiting = expiry.waiting(session)
    work.storage.prepare()
    found += _sweep_cache(work, retention)
    return {"freed": tally(found), "waiting": tally(waiting), "kept": kept}


def rehearse(work: Work, deployment: Mapping[str, Any], retention: Retention, beat: Beat) -> dict[str, Any]:
    """What `sweep` would do now: the same statements, undone at their end. No bytes are deleted."""
    found: list[Found] = []
    waiting: list[Found] = []
    with work.database.transaction() as session:
        try:
            found = _expire(session, deployment, retention)
            kept = roots.counts(session, retention)
            found += _forget(session, retention, expiry.started(session))
            references.gather(session, retention)
            for batch in _listed(work):
                beat()
                blobs.condemn(session, _garbage(session, batch, retention))
            blobs.spare_named(session)
            before = expiry.started(session)
            while doomed := blobs.doom(session, retention, before=before, limit=LISTED):
                found.append(Found("blobs", len(doomed), sum(each.bytes for each in doomed)))
            waiting = expiry.waiting(session)
        finally:
            session.rollback()
    return {"freed": tally(found), "waiting": tally(waiting), "kept": kept, "dry_run": True}


def _expire(session: Session, deployment: Mapping[str, Any], retention: Retention) -> list[Found]:
    kept_types = settings.effective(session, deployment=deployment)["build_artifacts_kept_on_deletion"]
    roots.gather(session, retention)
    found = expiry.expire(session, retention, kept_types=kept_types)
    expiry.condemn(session)
    return found


def _forget(session: Session, retention: Retention, before: datetime) -> list[Found]:
    roots.gather(session, retention)
    expiry.condemn(session)
    found = expiry.sweep(session, retention, before=before) + expiry.forget_beside(session, retention)
    return found + housekeeping.tidy(session, retention)


def _listed(work: Work) -> Iterator[list[Entry]]:
    """What is in storage, a batch at a time."""
    for folder in references.SWEPT_FOLDERS:
        entries = iter(work.storage.list(folder))
        while batch := list(islice(entries, LISTED)):
            yield batch


def _garbage(session: Session, batch: Iterable[Entry], retention: Retention) -> list[tuple[str, int]]:
    """Those that no row names, and that were not put just now."""
    old = time.time() - retention.grace
    sizes = {entry.key: entry.size for entry in batch if entry.modified_at <= old}
    unnamed = references.unnamed(session, list(sizes)) if sizes else set()
    return [(key, sizes[key]) for key in sorted(unnamed)]


def _delete(work: Work, retention: Retention, before: datetime, until: Until, beat: Beat) -> Iterator[Found]:
    """Rows first, then bytes, then the note that they are gone; what a dead sweep has begun comes first."""
    with work.database.transaction() as session:
        doomed = blobs.interrupted(session, limit=LISTED)
    while True:
        beat()
        if not doomed:
            if until.reached():
                return
            with work.database.transaction() as session:
                doomed = blobs.doom(session, retention, before=before, limit=until.batch(DELETED), by_use=until.is_set)
            if not doomed:
                return
        _drop(work, doomed)
        yield Found("blobs", len(doomed), sum(each.bytes for each in doomed))
        doomed = []


def is_interrupted(session: Session) -> bool:
    """Whether a sweep has begun to delete something. While one runs that is so, too."""
    return bool(blobs.interrupted(session, limit=1))


def resume(work: Work) -> None:
    """Ends what a dead sweep has begun to delete: nobody can store it again until then."""
    while True:
        with work.database.transaction() as session:
            doomed = blobs.interrupted(session, limit=DELETED)
        if not doomed:
            return
        _drop(work, doomed)


def _drop(work: Work, doomed: Sequence[blobs.Doomed]) -> None:
    for each in doomed:
        work.storage.delete(each.key)
    with work.database.transaction() as session:
        blobs.gone(session, [each.key for each in doomed])


def _free(work: Work) -> float:
    """Of the file system of storage; S3 has no end, and is swept to the last."""
    root = getattr(work.storage, "root", None)
    return free_fraction(root) if isinstance(root, Path) else -1.0


def _sweep_cache(work: Work, retention: Retention) -> list[Found]:
    """Archives that this host has not used for long; half-made pieces of children that were killed."""
    cache = work.settings.packager_cache
    forget_leftovers(cache / SPOOL)
    if not cache.is_dir():
        return []
    count, size = drop_idle_files(cache, older_seconds=max(retention.caches, 600.0))
    return [Found("archives in the cache", count, size)]
