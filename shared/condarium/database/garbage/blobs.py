"""Bytes in storage that no row names: condemned, then forgotten by all rows, then deleted, in that order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database import referrer_sets
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.domain.retention import Retention

#: a tombstone says that bytes were deleted once; who put them since has looked by then
_TOMBSTONE_SECONDS = 86400.0


@dataclass(frozen=True)
class Doomed:
    """A key of storage whose rows are gone."""

    key: str
    bytes: int


def condemn(session: Session, found: Sequence[tuple[str, int]]) -> None:
    """Marks (key, bytes) that `references.unnamed` has found. What was deleted before and put since is marked anew."""
    session.execute(
        text(
            "insert into condemned (kind, key, bytes) "
            "select 'blob', key, bytes "
            "from unnest(cast(:keys as text[]), cast(:sizes as bigint[])) as found (key, bytes) "
            "order by key on conflict (kind, key) do update set state = 'CONDEMNED', bytes = excluded.bytes, "
            "condemned_on = clock_timestamp(), gone_on = null where condemned.state = 'GONE'"
        ),
        {"keys": [key for key, _ in found], "sizes": [size for _, size in found]},
    )


def spare_named(session: Session) -> None:
    """Takes the mark off what rows name after all; right after `references.gather`."""
    session.execute(
        text(
            "with mine as (select key from condemned where kind = 'blob' and state = 'CONDEMNED' "
            "and key in (select key from live_keys) order by key for update skip locked) "
            "delete from condemned using mine where condemned.kind = 'blob' and condemned.key = mine.key"
        )
    )


def doom(session: Session, retention: Retention, *, before: datetime, limit: int, by_use: bool = False) -> list[Doomed]:
    """The next ones whose time has come, those first that were condemned first, or with `by_use` those first that were
    used least recently: nobody finds them made any more.

    The caller commits, deletes the bytes, and says so with `gone`.
    """
    rows = session.execute(
        text(
            f"""
            with due as (
                select key from condemned where kind = 'blob' and state = 'CONDEMNED' and condemned_on < :before
                    and condemned_on <= clock_timestamp() - make_interval(secs => :grace)
                    and key not in (select key from live_keys)
                order by {_USED_ON if by_use else ""} condemned_on, key limit :limit for update skip locked
            )
            update condemned set state = 'DELETING' from due
            where condemned.kind = 'blob' and condemned.key = due.key returning condemned.key, condemned.bytes
            """
        ),
        {"before": before, "grace": retention.grace, "limit": limit},
    ).all()
    digests = [row[0].removeprefix(CONTENT_PREFIX) for row in rows if row[0].startswith(CONTENT_PREFIX)]
    session.execute(text("delete from pieces where digest = any(:digests)"), {"digests": digests})
    return [Doomed(row[0], int(row[1])) for row in rows]


# Only pieces know; what else is stored was used until its row went, which is about when it was condemned.
_USED_ON = (
    f"coalesce((select max(coalesce(used_on, created_on)) from pieces where condemned.key = '{CONTENT_PREFIX}' "
    "|| pieces.digest), condemned_on),"
)


def interrupted(session: Session, *, limit: int) -> list[Doomed]:
    """What a sweep that died had begun to delete. One sweep of storage runs at a time, so nobody else does it."""
    rows = session.execute(
        text("select key, bytes from condemned where kind = 'blob' and state = 'DELETING' order by key limit :limit"),
        {"limit": limit},
    )
    return [Doomed(row[0], int(row[1])) for row in rows]


def gone(session: Session, keys: Sequence[str]) -> None:
    """Their bytes are deleted; who puts them again looks whether they are there."""
    session.execute(
        text(
            "update condemned set state = 'GONE', gone_on = clock_timestamp() "
            "where kind = 'blob' and key = any(:keys) and state = 'DELETING'"
        ),
        {"keys": list(keys)},
    )


def forget_tombstones(session: Session, *, before: datetime) -> None:
    """Those that no maker can have met any more."""
    session.execute(
        text(
            "delete from condemned where state = 'GONE' and gone_on < :before "
            "and gone_on < clock_timestamp() - make_interval(secs => :seconds)"
        ),
        {"before": before, "seconds": _TOMBSTONE_SECONDS},
    )


def forget_missing(session: Session, digest: str) -> list[int]:
    """The bytes of a digest are damaged, and deleted now, or away: every row that says they are there goes, so that
    they are made again; referrers are asked for at once.
    Returns the ids of the locks whose images and archives went with it."""
    blob = {"digest": digest, "key": f"{CONTENT_PREFIX}{digest}"}
    # Whoever found them stored a moment ago, and is about to name them, looks once more.
    session.execute(text(_TOMBSTONE), blob)
    _forget_referrers(session, blob)
    session.execute(text("delete from build_artifacts where state = 'READY' and key = :key"), blob)
    session.execute(text("delete from pieces where digest = :digest"), blob)
    images = session.execute(
        text(
            "select distinct lock_id from images join image_blobs on image_digest = digest where blob_digest = :digest"
        ),
        blob,
    ).scalars()
    archives = session.execute(
        text("select lock_id from archives where parts @> jsonb_build_array(jsonb_build_array(cast(:digest as text)))"),
        blob,
    ).scalars()
    locks = sorted({*map(int, images), *map(int, archives)})
    if locks:
        for statement in _OF_LOCKS:
            session.execute(text(statement), {"locks": locks})
    return locks


_TOMBSTONE = """
    insert into condemned (kind, key, state, gone_on) values ('blob', :key, 'GONE', clock_timestamp())
    on conflict (kind, key) do update set state = 'GONE', gone_on = clock_timestamp()
"""


def _forget_referrers(session: Session, blob: Mapping[str, str]) -> None:
    gone = "select manifest_digest from referrer_blobs where blob_digest = :digest"
    builds = session.execute(text(f"delete from referrers where digest in ({gone}) returning build_id"), blob).scalars()
    for build_id in sorted(set(map(int, builds))):
        referrer_sets.request(session, build_id)
    session.execute(text(f"delete from referrer_manifests where digest in ({gone})"), blob)


_OF_LOCKS = (
    "delete from image_blobs where image_digest in (select digest from images where lock_id = any(:locks))",
    "delete from images where lock_id = any(:locks)",
    "delete from archives where lock_id = any(:locks)",
    "delete from build_artifacts where state = 'READY' "
    "and artifact_type in ('CONDA_PACK', 'CONDA_PACK_ZST', 'CONSTRUCTOR_INSTALLER', 'DOCKER_MANIFEST', "
    "'DOCKER_MANIFEST_ZSTD') "
    "and build_id in (select build_id from lock_platforms where lock_id = any(:locks))",
)
