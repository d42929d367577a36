"""Prefixes that are linked once more out of their lock: swept ones that are wanted again, and damaged ones."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import psycopg
from sqlalchemy import select
from sqlalchemy.orm import Session

from condarium import log
from condarium.database import builds, leases, stores, usage
from condarium.database.garbage import prefixes as rows
from condarium.database.garbage.prefixes import Wanted
from condarium.database.tables import LockRow
from condarium.domain.lock import Lock
from condarium.domain.naming import prefix_name
from condarium.errors import CondariumError, InputFault, NotFound, Unavailable, WorldFault
from condarium.work.bell import Bell
from condarium.work.child import Child, Message
from services.builder import symlink
from services.builder.handlers import SOURCE, Task, Work
from services.builder.job_making import make_job

#: how often it is looked by itself; events wake it at once
LOOK_SECONDS = 30.0
#: after which one that has failed often is tried again
LONGEST_WAIT_SECONDS = 3600.0

logger = log.get(__name__)


class Relinker:
    """May be used by any thread; the same prefix is linked by one at a time, over all hosts."""

    def __init__(self, work: Work, start_child: Callable[[], Child]) -> None:
        self._work, self._start_child = work, start_child

    def relink(self, wanted: Wanted, *, mend: bool = False) -> bool:
        """Links the prefix out of its build's lock; `mend` exchanges the one that is there. False when somebody else
        is at it. Raises InputFault, WorldFault, NotFound for a build that is deleted, Unavailable.
        """
        connection = self._work.database.listen()
        try:
            row = connection.execute(
                "select pg_try_advisory_lock(hashtextextended(%s, 1))", (f"relink:{wanted.path}",)
            ).fetchone()
            if not row or not row[0]:
                return False
            self._relink(wanted, mend)
            return True
        except psycopg.OperationalError as error:
            raise Unavailable("the database cannot be reached; try again in a moment") from error
        finally:
            connection.close()

    def _relink(self, wanted: Wanted, mend: bool) -> None:
        work = self._work
        with work.database.transaction() as session:
            build = builds.load(session, wanted.build_id)
            lock = lock_of(session, wanted.lock_hash)
        task = Task(
            # No attempt has this number: it claims nothing, and names the staging directory.
            held=leases.Claim(build.id, work.owner, 0),
            tries=1,
            environment_id=build.environment_id,
            namespace=wanted.namespace,
            name=wanted.name,
            specification=build.specification.spec,
            settings=build.settings,
            actor=SOURCE,
            queued_seconds=0.0,
        )
        job = replace(make_job(work, task), locks={lock.platform: lock.to_json()}, mend=mend)
        done = self._run(job.to_json())
        with work.database.transaction() as session:
            path = f"{wanted.namespace}/{prefix_name(wanted.lock_hash, wanted.name)}"
            stores.lock_prefix(session, path)
            if not (work.store.directory / path).is_dir():
                raise WorldFault(f"{path} was swept while it was linked again")
            size, links = int(done["size"]), done.get("links") or {}
            made = stores.record_prefix(
                session,
                store_id=work.store.id,
                namespace_id=build.namespace_id,
                lock_hash=wanted.lock_hash,
                name=wanted.name,
                path=path,
                size=size,
                own_size=size - sum(links.values()),
                actor=SOURCE,
            )
            usage.record_links(session, wanted.lock_hash, links)
            rows.restored(session, wanted, made)
        logger.info("linked again", prefix=wanted.path, mended=mend)
        symlink.render(work.database, work.store.directory, wanted.namespace, wanted.name)

    def _run(self, job: Message) -> Message:
        child = self._start_child()
        try:
            child.send(job)
            while True:
                try:
                    message = child.receive(timeout=self._work.settings.builder_time_limit_seconds)
                except (TimeoutError, OSError):
                    message = None
                if message is None:
                    raise WorldFault("the process that links died, or took too long")
                if message["event"] == "linked":
                    return message
                if message["event"] == "failed":
                    said = str(message["message"])
                    if message["kind"] == "input":
                        raise InputFault(said, reason=str(message.get("reason") or "input"))
                    raise WorldFault(said)
        finally:
            child.kill()


def lock_of(session: Session, sha256: str) -> Lock:
    """The lock with this hash, which a prefix was linked from."""
    content = session.execute(select(LockRow.content).where(LockRow.sha256 == sha256)).scalar_one()
    return Lock.from_json(content)


class Restoring:
    """A thread that links what was swept and is wanted again: somebody rolled back to it, or pinned it."""

    def __init__(self, work: Work, relinker: Relinker) -> None:
        self._work, self._relinker = work, relinker
        self._bell = Bell()
        #: by path: how long it waits after it has failed, and until when
        self._failed: dict[str, tuple[float, float]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="restoring", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._bell.ring()

    def stop(self) -> None:
        self._stopped.set()
        self.wake()
        self._thread.join(10.0)

    def _serve(self) -> None:
        seen = -1
        while not self._stopped.is_set():
            seen = self._bell.wait(seen, LOOK_SECONDS)
            try:
                self._restore()
            except CondariumError as error:
                logger.warning("prefixes cannot be linked again now", reason=str(error))
            except Exception:
                logger.exception("linking prefixes again failed; it goes on")

    def _restore(self) -> None:
        # Those that fail are tried ever less often, and keep nobody else waiting.
        now = time.monotonic()
        skip = [path for path, (_, until) in self._failed.items() if until > now]
        with self._work.database.transaction() as session:
            wanted = rows.wanted(session, self._work.store.id, skip=skip)
        for each in wanted:
            if self._stopped.is_set():
                return
            try:
                self._relinker.relink(each)
                self._failed.pop(each.path, None)
            except NotFound:
                continue
            except (InputFault, WorldFault) as error:
                wait = min(2 * self._failed.get(each.path, (LOOK_SECONDS / 2, 0.0))[0], LONGEST_WAIT_SECONDS)
                self._failed[each.path] = wait, time.monotonic() + wait
                logger.warning(
                    "a prefix cannot be linked again; it is tried again later",
                    prefix=each.path,
                    reason=str(error),
                    seconds=wait,
                )
