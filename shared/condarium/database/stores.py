"""Stores and the prefixes on them."""

import uuid

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Build, Environment, Namespace, Prefix, Store
from condarium.errors import ConfigError


class Swept(Exception):
    """The prefix was deleted as garbage, and is wanted again; the text is its path."""


def register(session: Session, store_uuid: uuid.UUID, directory: str) -> int:
    """The id of the store; made known on first sight.

    Raises ConfigError for a second store: builds do not say yet which one they are for.
    """
    # Two stores that come at once must see each other.
    session.execute(text("lock table stores in share row exclusive mode"))
    session.execute(
        insert(Store).values(uuid=store_uuid, directory=directory).on_conflict_do_nothing(index_elements=["uuid"])
    )
    rows = session.execute(select(Store).order_by(Store.id)).scalars().all()
    mine = next(row for row in rows if row.uuid == store_uuid)
    others = [row for row in rows if row.uuid != store_uuid]
    if others:
        raise ConfigError(
            f"this database belongs to the store {others[0].uuid} (seen at {others[0].directory}), but {directory} is "
            f"the store {store_uuid}; mount the first one, or use a database of its own"
        )
    return mine.id


def record_prefix(
    session: Session,
    *,
    store_id: int,
    namespace_id: int,
    lock_hash: str,
    name: str,
    path: str,
    size: int,
    own_size: int | None = None,
    actor: str,
) -> int:
    """The id of the prefix's row; `path` is relative to the store, `size` in bytes, `own_size` of those that are no
    hard links."""
    session.execute(
        insert(Prefix)
        .values(
            store_id=store_id,
            namespace_id=namespace_id,
            lock_hash=lock_hash,
            name=name,
            path=path,
            size=size,
            own_size=own_size,
            created_by=actor,
        )
        .on_conflict_do_nothing(
            index_elements=["store_id", "namespace_id", "lock_hash", "name"], index_where=Prefix.deleted_on.is_(None)
        )
    )
    return session.execute(
        select(Prefix.id).where(
            Prefix.store_id == store_id,
            Prefix.namespace_id == namespace_id,
            Prefix.lock_hash == lock_hash,
            Prefix.name == name,
            Prefix.deleted_on.is_(None),
        )
    ).scalar_one()


def path_of(session: Session, build: Build) -> str | None:
    """Where the build's prefix lies, relative to its store."""
    if build.prefix_id is None:
        return None
    return session.execute(select(Prefix.path).where(Prefix.id == build.prefix_id)).scalar_one_or_none()


def current_path(session: Session, namespace: str, environment: str) -> str | None:
    """Where the environment's current build lies, relative to the store; None when there is nothing to point to.

    Raises Swept when its prefix has to be linked again first.
    """
    row = session.execute(
        select(Prefix.path, Prefix.deleted_on)
        .join(Build, Build.prefix_id == Prefix.id)
        .join(Environment, Environment.current_build_id == Build.id)
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .where(Namespace.name == namespace, Environment.name == environment)
        .where(Environment.deleted_on.is_(None), Namespace.deleted_on.is_(None))
    ).one_or_none()
    if row is not None and row.deleted_on is not None:
        raise Swept(row.path)
    return row.path if row is not None else None


def current_paths(session: Session) -> dict[tuple[str, str], str | None]:
    """{(namespace, environment): path} of every environment that points to a build; None where its prefix has to be
    linked again first."""
    rows = session.execute(
        select(Namespace.name, Environment.name, Prefix.path, Prefix.deleted_on)
        .join(Environment, Environment.namespace_id == Namespace.id)
        .join(Build, Environment.current_build_id == Build.id)
        .join(Prefix, Build.prefix_id == Prefix.id)
        .where(Environment.deleted_on.is_(None), Namespace.deleted_on.is_(None))
    ).all()
    return {(row[0], row[1]): row[2] if row[3] is None else None for row in rows}


def lock_environment(session: Session, namespace: str, environment: str) -> None:
    """One renderer of this environment's symlink at a time, over all hosts, until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"symlink:{namespace}/{environment}", 0))))


def lock_prefix(session: Session, path: str) -> None:
    """Until the transaction ends nobody else publishes or sweeps the prefix at this path of the store."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"prefix:{path}", 0))))
