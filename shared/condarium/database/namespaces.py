"""Questions about namespaces, and their end."""

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import builds, credentials, outbox, publish_rules, roles, settings
from condarium.database.tables import Build, Environment, Namespace, NamespaceRole, RoleMapping
from condarium.domain.naming import check_name
from condarium.errors import NotFound
from condarium.events import EnvironmentDeleted

_TRIES = 3


def find(session: Session, name: str, *, lock: bool = False) -> Namespace | None:
    """The namespace of that name that is not deleted; `lock` lets nobody change it or submit into it meanwhile."""
    query = select(Namespace).where(Namespace.name == name, Namespace.deleted_on.is_(None))
    if lock:
        # No stronger than that: who changes a row twice looks at what it refers to, and may hold what we wait for.
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def load(session: Session, name: str, *, lock: bool = False) -> Namespace:
    """As `find`; raises NotFound."""
    found = find(session, name, lock=lock)
    if found is None:
        raise NotFound("namespace does not exist")
    return found


def create(session: Session, name: str, *, actor: str) -> bool:
    """False when it is there already: of two at the same time one makes it. Raises InvalidInput for a bad name."""
    check_name("namespace", name)
    return _insert(session, name, actor=actor)


def ensure(session: Session, name: str, *, actor: str, reserved: bool = False) -> Namespace:
    """The namespace, made when it is not there, and not to be deleted before this transaction has ended.

    Two callers at once get the same row. `reserved` is for those that are the system's own. Raises InvalidInput when
    the name is not allowed.
    """
    query = select(Namespace).where(Namespace.name == name, Namespace.deleted_on.is_(None))
    kept = query.with_for_update(read=True)
    # One that is deleted while we wait for its row makes room for a new one.
    for _ in range(_TRIES):
        found = session.execute(kept).scalar_one_or_none()
        if found is not None:
            return found
        if not reserved:
            check_name("namespace", name)
        _insert(session, name, actor=actor)
    return load(session, name, lock=True)


def _insert(session: Session, name: str, *, actor: str) -> bool:
    made: int | None = session.execute(
        insert(Namespace)
        .values(name=name, created_by=actor)
        .on_conflict_do_nothing(index_elements=["name"], index_where=Namespace.deleted_on.is_(None))
        .returning(Namespace.id)
    ).scalar_one_or_none()
    if made is not None:
        settings.keep(session, made, name)
    return made is not None


def delete(session: Session, namespace: Namespace, *, actor: str, source: str = "api") -> None:
    """Soft delete with all that is in it: names are free at once, builds under way are canceled, roles end.

    What lies on disk goes by the events, one for each environment. The namespace's row must be locked.
    """
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    namespace.deleted_on = now
    # Who locks both locks the environments first.
    names = session.execute(
        select(Environment.name)
        .where(Environment.namespace_id == namespace.id, Environment.deleted_on.is_(None))
        .order_by(Environment.id)
        .with_for_update(key_share=True)
    ).scalars()
    events = [EnvironmentDeleted(namespace=namespace.name, environment=name, actor=actor) for name in names]
    for build in builds.unfinished_of(session, namespace):
        builds.cancel(session, build, actor=actor, source=source)
        build.status_info = "the namespace was deleted"
    session.flush()
    _delete_environments(session, namespace, now)
    _end_roles(session, namespace)
    credentials.end(session, namespace)
    publish_rules.end(session, namespace)
    outbox.add_all(session, events, source=source)


def _delete_environments(session: Session, namespace: Namespace, now: object) -> None:
    inside = select(Environment.id).where(Environment.namespace_id == namespace.id, Environment.deleted_on.is_(None))
    for statement in (
        update(Build).where(Build.environment_id.in_(inside), Build.deleted_on.is_(None)).values(deleted_on=now),
        update(Environment).where(Environment.id.in_(inside)).values(deleted_on=now, current_build_id=None),
    ):
        session.execute(statement.execution_options(synchronize_session=False))


def _end_roles(session: Session, namespace: Namespace) -> None:
    """Those that it gave, and those that others gave to its members: who makes the name anew inherits none."""
    session.execute(delete_rows(RoleMapping).where(RoleMapping.namespace_id == namespace.id))
    both = or_(NamespaceRole.namespace_id == namespace.id, NamespaceRole.other_namespace_id == namespace.id)
    session.execute(delete_rows(NamespaceRole).where(both))
    roles.changed(session)
