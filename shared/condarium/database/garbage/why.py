"""What keeps something: the chains that lead from it to a root."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database.garbage import roots
from condarium.domain.retention import Retention


@dataclass(frozen=True)
class Chain:
    """`steps` are words for people, from the thing to what is kept; `kind` and `detail` are of the root."""

    steps: tuple[str, ...]
    kind: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """`what` says what it is; without a chain it is garbage, which goes after `condemned_on` and the grace."""

    what: str
    chains: tuple[Chain, ...]
    condemned_on: datetime | None = None


#: of the chains that are shown
MOST = 100


def of_builds(session: Session, what: str, builds: Sequence[int], retention: Retention) -> Answer:
    """What keeps any of these builds."""
    return Answer(what, _rooted(session, dict.fromkeys(builds, ()), retention))


def of_prefix(session: Session, path: str, retention: Retention) -> Answer | None:
    """`path` is relative to the store, or the whole path; None where no prefix is or was there."""
    rows = session.execute(
        text(
            "select prefixes.id, prefixes.deleted_on, builds.id as build from prefixes "
            "join stores on stores.id = prefixes.store_id left join builds on builds.prefix_id = prefixes.id "
            "where :path in (prefixes.path, stores.directory || '/' || prefixes.path) order by builds.id"
        ),
        {"path": path.rstrip("/")},
    ).all()
    if not rows:
        return None
    gone = all(row.deleted_on is not None for row in rows)
    chains = _rooted(session, {row.build: () for row in rows if row.build is not None}, retention)
    return Answer(f"the prefix {path}" + (", which was swept" if gone else ""), chains)


def of_digest(session: Session, digest: str, retention: Retention) -> Answer | None:
    """A blob, an image, a lock or a package, by its sha256 in hex; None where nothing is known by it."""
    found: list[str] = []
    ways: dict[int, tuple[str, ...]] = {}
    direct: list[Chain] = []
    for row in session.execute(text(_HOLDERS), {"digest": digest}):
        found.append(row.what)
        if row.lock_id is None:
            direct.append(Chain((row.what,), "stored", row.step))
        else:
            ways.setdefault(int(row.lock_id), (row.step,) if row.step else ())
    mark = session.execute(
        text("select condemned_on from condemned where kind = 'blob' and key = :key and state <> 'GONE'"),
        {"key": f"blobs/sha256/{digest}"},
    ).scalar_one_or_none()
    if not found and mark is None:
        return None
    builds = session.execute(
        text(
            "select build_id, lock_id, sha256 from lock_platforms join locks on locks.id = lock_id "
            "where lock_id = any(:locks) order by build_id"
        ),
        {"locks": list(ways)},
    )
    of_build = {int(row.build_id): (*ways[int(row.lock_id)], f"the lock {row.sha256}") for row in builds}
    what = " and ".join(dict.fromkeys(found)) or "bytes that no row names"
    return Answer(what, (*direct, *_rooted(session, of_build, retention))[:MOST], mark)


_HOLDERS = """
    select 'a blob of images' as what, 'the image sha256:' || images.digest as step, images.lock_id
    from image_blobs join images on images.digest = image_blobs.image_digest where blob_digest = :digest
    union select 'the config of an image', 'the image sha256:' || digest, lock_id from images
        where config_digest = :digest
    union select 'an image', null, lock_id from images where digest = :digest
    union select 'a part of tarballs', 'the ' || codec || ' tarball', lock_id from archives
        where parts @> jsonb_build_array(jsonb_build_array(cast(:digest as text)))
    union select 'a lock', null, id from locks where sha256 = :digest
    union select 'a package', 'it is in', id from locks
        where content->'conda' @> jsonb_build_array(jsonb_build_object('sha256', cast(:digest as text)))
    union select 'a layer of a base image', 'the base image ' || digest, null::bigint from base_images
        where layers @> jsonb_build_array(jsonb_build_object('digest', cast(:digest as text)))
    union select 'a piece of ' || kind || 's', 'a piece that was used ' ||
        to_char(coalesce(used_on, created_on), 'YYYY-MM-DD'), null::bigint from pieces where digest = :digest
"""


def _rooted(session: Session, ways: dict[int, tuple[str, ...]], retention: Retention) -> tuple[Chain, ...]:
    names = _names(session, list(ways))
    return tuple(
        Chain((*ways[root.build_id], names[root.build_id]), root.kind, root.detail)
        for root in roots.of_builds(session, list(ways), retention)[:MOST]
    )


def _names(session: Session, builds: list[int]) -> dict[int, str]:
    rows: Any = session.execute(
        text(
            "select builds.id, namespaces.name || '/' || environments.name as environment, builds.generation "
            "from builds "
            "join environments on environments.id = builds.environment_id "
            "join namespaces on namespaces.id = environments.namespace_id where builds.id = any(:builds)"
        ),
        {"builds": builds},
    )
    return {int(row.id): f"build {row.id} of {row.environment}, generation {row.generation}" for row in rows}
