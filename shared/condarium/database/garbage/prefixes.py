"""Prefixes that no kept build needs, and those that were swept and are wanted again."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from condarium.database import stores
from condarium.database.garbage import roots
from condarium.database.tables import Prefix
from condarium.domain.retention import Retention


@dataclass(frozen=True)
class Unneeded:
    """A prefix that no kept build has; `path` is relative to the store, `bytes` are those that no other can share."""

    id: int
    path: str
    bytes: int


# The builds that a builder is at work on may be about to take the prefix that is there already.
_UNNEEDED = """
    select prefixes.id, prefixes.path, coalesce(prefixes.own_size, prefixes.size) as bytes
    from prefixes
    where prefixes.store_id = :store and prefixes.deleted_on is null
        and prefixes.created_on < clock_timestamp() - make_interval(secs => :grace)
        and not exists (
            select from builds where builds.prefix_id = prefixes.id and builds.id in (select build_id from kept)
        )
        and not exists (
            select from builds join environments on environments.id = builds.environment_id
            where environments.namespace_id = prefixes.namespace_id and environments.name = prefixes.name
                and builds.status = 'BUILDING'
        )
"""
# Least recently used first: by when a build last had it.
_ORDER = """
    order by (select max(coalesce(builds.ended_on, builds.scheduled_on)) from builds
        where builds.prefix_id = prefixes.id) nulls first, prefixes.id
"""


def unneeded(session: Session, store_id: int, retention: Retention) -> list[Unneeded]:
    """All prefixes of the store that may go, least recently used first."""
    roots.gather(session, retention)
    rows = session.execute(text(_UNNEEDED + _ORDER), {"store": store_id, "grace": retention.grace})
    return [Unneeded(int(row[0]), row[1], int(row[2])) for row in rows]


@contextmanager
def condemned(session: Session, prefix_id: int, store_id: int, retention: Retention) -> Iterator[bool]:
    """Whether the prefix is still unneeded; then its row says that it is deleted once the transaction commits, and its
    directory must be moved away within the block. Builds that would take it wait for the end of the transaction."""
    path = session.execute(select(Prefix.path).where(Prefix.id == prefix_id)).scalar_one()
    stores.lock_prefix(session, path)
    roots.gather(session, retention)
    still = session.execute(
        text(f"{_UNNEEDED} and prefixes.id = :id"), {"store": store_id, "grace": retention.grace, "id": prefix_id}
    ).first()
    if still is not None:
        session.execute(text("update prefixes set deleted_on = clock_timestamp() where id = :id"), {"id": prefix_id})
        session.execute(
            text("insert into usage_changes (namespace_id) select namespace_id from prefixes where id = :id"),
            {"id": prefix_id},
        )
    yield still is not None


def known_paths(session: Session, store_id: int) -> set[str]:
    """The paths of all prefixes that are there, by their rows."""
    query = select(Prefix.path).where(Prefix.store_id == store_id, Prefix.deleted_on.is_(None))
    return set(session.execute(query).scalars())


def is_building(session: Session, namespace: str, path: str) -> bool:
    """Whether somebody may be about to publish a prefix at this path."""
    name = path.partition("/")[2].partition("-")[2]
    query = text(
        "select exists (select from builds join environments on environments.id = builds.environment_id "
        "join namespaces on namespaces.id = environments.namespace_id "
        "where namespaces.name = :namespace and environments.name = :name and builds.status = 'BUILDING')"
    )
    return bool(session.execute(query, {"namespace": namespace, "name": name}).scalar_one())


@dataclass(frozen=True)
class Wanted:
    """A build whose prefix was swept, and which its environment points to, or somebody has pinned."""

    build_id: int
    prefix_id: int
    namespace: str
    name: str
    lock_hash: str
    path: str


def wanted(session: Session, store_id: int, *, skip: Collection[str] = (), limit: int = 20) -> list[Wanted]:
    """Swept prefixes that must be there again, one of each path, but for the paths of `skip`."""
    rows = session.execute(
        text(
            """
            select distinct on (prefixes.path) builds.id, prefixes.id, namespaces.name, environments.name,
                prefixes.lock_hash, prefixes.path
            from builds
            join prefixes on prefixes.id = builds.prefix_id and prefixes.deleted_on is not null
            join environments on environments.id = builds.environment_id and environments.deleted_on is null
            join namespaces on namespaces.id = environments.namespace_id and namespaces.deleted_on is null
            where prefixes.store_id = :store and prefixes.path <> all(cast(:skip as text[]))
                and builds.deleted_on is null and (
                environments.current_build_id = builds.id
                or exists (select from pins where pins.build_id = builds.id
                    and (pins.expires_on is null or pins.expires_on > clock_timestamp()))
            )
            order by prefixes.path, builds.id limit :limit
            """
        ),
        {"store": store_id, "skip": list(skip), "limit": limit},
    )
    return [Wanted(int(row[0]), int(row[1]), row[2], row[3], row[4], row[5]) for row in rows]


def to_verify(session: Session, store_id: int) -> list[Wanted]:
    """Every prefix that is there by its row, with a build that has it."""
    rows = session.execute(
        text(
            """
            select distinct on (prefixes.id) builds.id, prefixes.id, namespaces.name, prefixes.name,
                prefixes.lock_hash, prefixes.path
            from prefixes
            join builds on builds.prefix_id = prefixes.id
            join namespaces on namespaces.id = prefixes.namespace_id
            where prefixes.store_id = :store and prefixes.deleted_on is null
            order by prefixes.id, builds.deleted_on nulls first, builds.id desc
            """
        ),
        {"store": store_id},
    )
    return [Wanted(int(row[0]), int(row[1]), row[2], row[3], row[4], row[5]) for row in rows]


def restored(session: Session, swept: Wanted, prefix_id: int) -> None:
    """All builds that had the swept prefix have this one now."""
    session.execute(
        text("update builds set prefix_id = :new where prefix_id = :old"), {"new": prefix_id, "old": swept.prefix_id}
    )


def forget_missing(session: Session, store_id: int, path: str, is_there: Callable[[], bool]) -> None:
    """The directory is not there, whatever the row says: it is linked again where it is wanted."""
    stores.lock_prefix(session, path)
    if not is_there():
        session.execute(
            text(
                "update prefixes set deleted_on = clock_timestamp() "
                "where store_id = :store and path = :path and deleted_on is null"
            ),
            {"store": store_id, "path": path},
        )
