"""What expired builds had made: their artifacts at once, the images and tarballs of their locks after the grace.

A build that no root keeps keeps its row and its locks. Whoever asks for something of it gets it made again, of the
same bytes. All of this runs in one transaction with `roots.gather` before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database import referrers
from condarium.database.garbage import marks
from condarium.domain.artifact import ArtifactType
from condarium.domain.retention import Retention


@dataclass(frozen=True)
class Found:
    """Rows by kind: how many, and the bytes that they say."""

    kind: str
    count: int
    bytes: int = 0


def started(session: Session) -> datetime:
    """Nothing that was condemned after this moment may go now: a maker that began before it is still at work, and may
    have found it before it was condemned. To be asked before rows are looked at that makers write at their end."""
    oldest = session.execute(
        text(
            "select least(clock_timestamp(), min(since)) from ("
            "select coalesce(claimed_on, created_on) from build_artifacts where state = 'MAKING' "
            # These do not say when they were claimed last; it was not before they were there.
            "union all select created_on from referrer_sets where state = 'MAKING' "
            "union all select created_on from package_copies where state = 'MAKING'"
            ") makers (since)"
        )
    ).scalar_one()
    assert isinstance(oldest, datetime)
    return oldest


# The log of a build is made of what is written once: only it cannot be made again.
_ARTIFACTS = text(
    """
    with gone as (
        delete from build_artifacts using builds
        where builds.id = build_artifacts.build_id
            and build_artifacts.state = 'READY' and build_artifacts.artifact_type <> 'LOGS'
            and build_artifacts.ready_on < clock_timestamp() - make_interval(secs => :grace)
            and build_artifacts.build_id not in (select build_id from kept)
            and (builds.deleted_on is null or build_artifacts.artifact_type <> all(:kept_types))
        returning builds.namespace_id, case when build_artifacts.key is null then 0 else build_artifacts.size end
            as bytes
    ), noted as (
        insert into usage_changes (namespace_id) select distinct namespace_id from gone
    )
    select count(*), coalesce(sum(bytes), 0)::bigint from gone
    """
)
_LOGS = text(
    """
    with gone as (
        update build_artifacts set state = 'FAILED', key = null, digest = null, size = null,
            reason = 'the log was deleted ' || :said
        from builds
        where builds.id = build_artifacts.build_id and build_artifacts.artifact_type = 'LOGS'
            and build_artifacts.state = 'READY' and build_artifacts.build_id not in (select build_id from kept)
            and (
                coalesce(builds.ended_on, builds.scheduled_on) < clock_timestamp() - make_interval(secs => :logs)
                or (not :keep_logs and builds.deleted_on < clock_timestamp() - make_interval(secs => :grace))
            )
        returning build_artifacts.id
    )
    select count(*) from gone
    """
)
# A completed build cannot be tried again, so its log never grows; of others the chunks stay as long as the log.
_CHUNKS = text(
    """
    with gone as (
        delete from log_chunks using builds
        where builds.id = log_chunks.build_id and (
            (builds.status = 'COMPLETED' and builds.ended_on < clock_timestamp() - make_interval(secs => :grace)
                and exists (
                    select from build_artifacts where build_artifacts.build_id = builds.id
                        and artifact_type = 'LOGS' and state = 'READY' and ready_on > builds.ended_on
                ))
            or (builds.status in ('COMPLETED', 'FAILED', 'CANCELED')
                and builds.ended_on < clock_timestamp() - make_interval(secs => :logs)
                and builds.id not in (select build_id from kept))
        )
        returning octet_length(text) as bytes
    )
    select count(*), coalesce(sum(bytes), 0)::bigint from gone
    """
)


def expire(session: Session, retention: Retention, *, kept_types: Sequence[str]) -> list[Found]:
    """Forgets what was made of builds that nothing keeps; `kept_types` are the artifacts that deleted builds keep."""
    days = retention.logs / 86400
    parameters: Mapping[str, Any] = {
        "grace": retention.grace,
        "logs": retention.logs,
        "kept_types": list(kept_types),
        "keep_logs": ArtifactType.LOGS.value in kept_types,
        "said": f"after {days:g} days, or with its build",
    }
    artifacts = session.execute(_ARTIFACTS, parameters).one()
    referring = referrers.drop_deleted(session)
    logs = session.execute(_LOGS, parameters).scalar_one()
    chunks = session.execute(_CHUNKS, parameters).one()
    return [
        Found("artifacts", int(artifacts[0]), int(artifacts[1])),
        Found("referrers", referring),
        Found("logs", int(logs)),
        Found("log chunks", int(chunks[0]), int(chunks[1])),
    ]


_BESIDE = {
    # Beside the image, and made again with it.
    "sets of referrers": """
        delete from referrer_sets where state = 'READY' and build_id not in (select build_id from kept)
            and not exists (select from referrers where referrers.build_id = referrer_sets.build_id)
    """,
    "indexes of channels": """
        delete from channel_indexes where created_on < clock_timestamp() - make_interval(secs => :grace)
            and build_id not in (select build_id from kept)
    """,
    "copies of packages": """
        delete from package_copies where state in ('READY', 'FAILED')
            and used_on < clock_timestamp() - make_interval(secs => :caches)
            and created_on < clock_timestamp() - make_interval(secs => :grace)
    """,
}


def forget_beside(session: Session, retention: Retention) -> list[Found]:
    """What goes with images that are gone, and packages of channels that nobody has asked for lately."""
    parameters = {"grace": retention.grace, "caches": retention.caches}
    return [
        Found(kind, session.execute(text(query), parameters).rowcount)  # type: ignore[attr-defined]
        for kind, query in _BESIDE.items()
    ]


def condemn(session: Session) -> None:
    """Marks the images and archives of locks that nothing keeps, and takes the mark off those that are kept again."""
    for kind, table in ((marks.IMAGES, "images"), (marks.ARCHIVES, "archives")):
        session.execute(
            text(
                f"insert into condemned (kind, key) select distinct '{kind}', lock_id::text from {table} "
                "where lock_id not in (select lock_id from kept_locks) on conflict do nothing"
            )
        )
        session.execute(
            text(
                f"delete from condemned where kind = '{kind}' and state = 'CONDEMNED' "
                "and key in (select lock_id::text from kept_locks)"
            )
        )


#: what goes with the images of a lock, in order; :locks are ids
_OF_IMAGES = (
    "delete from referrers using referrer_manifests manifest where manifest.digest = referrers.digest "
    "and manifest.subject in (select digest from images where lock_id = any(:locks))",
    "delete from referrer_manifests where subject in (select digest from images where lock_id = any(:locks)) "
    "and not exists (select from referrers where referrers.digest = referrer_manifests.digest)",
    "delete from image_blobs where image_digest in (select digest from images where lock_id = any(:locks))",
    "delete from images where lock_id = any(:locks)",
)
_OF_ARCHIVES = ("delete from archives where lock_id = any(:locks)",)


def sweep(session: Session, retention: Retention, *, before: datetime) -> list[Found]:
    """Deletes the rows of images and archives that were condemned a grace ago, and before `before`."""
    found = []
    for kind, statements in ((marks.IMAGES, _OF_IMAGES), (marks.ARCHIVES, _OF_ARCHIVES)):
        keys = session.execute(_DUE, {"kind": kind, "grace": retention.grace, "before": before}).scalars()
        locks = [int(key) for key in keys]
        count = 0
        for statement in statements if locks else ():
            count = session.execute(text(statement), {"locks": locks}).rowcount  # type: ignore[attr-defined]
        found.append(Found(kind, count))
    return found


_DUE = text(
    """
    with due as (
        select kind, key from condemned where kind = :kind and state = 'CONDEMNED' and condemned_on < :before
            and condemned_on <= clock_timestamp() - make_interval(secs => :grace)
        order by key for update skip locked
    )
    delete from condemned using due where (condemned.kind, condemned.key) = (due.kind, due.key) returning condemned.key
    """
)


def waiting(session: Session) -> list[Found]:
    """What is condemned, by kind."""
    rows = session.execute(
        text(
            "select kind, count(*), coalesce(sum(bytes), 0)::bigint from condemned where state = 'CONDEMNED' "
            "group by kind order by kind"
        )
    )
    return [Found(row[0], int(row[1]), int(row[2])) for row in rows]
