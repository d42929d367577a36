"""Questions about namespaces."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Namespace
from condarium.domain.naming import check_name
from condarium.errors import NotFound


def find(session: Session, name: str) -> Namespace | None:
    """The namespace of that name that is not deleted."""
    return session.execute(
        select(Namespace).where(Namespace.name == name, Namespace.deleted_on.is_(None))
    ).scalar_one_or_none()


def load(session: Session, name: str) -> Namespace:
    """As `find`; raises NotFound."""
    found = find(session, name)
    if found is None:
        raise NotFound("namespace does not exist")
    return found


def ensure(session: Session, name: str, *, actor: str, reserved: bool = False) -> Namespace:
    """The namespace, made when it is not there; two callers at once get the same row.

    `reserved` is for those that are the system's own. Raises InvalidInput when the name is not allowed.
    """
    found = find(session, name)
    if found is not None:
        return found
    if not reserved:
        check_name("namespace", name)
    session.execute(
        insert(Namespace)
        .values(name=name, created_by=actor)
        .on_conflict_do_nothing(index_elements=["name"], index_where=Namespace.deleted_on.is_(None))
    )
    return load(session, name)
