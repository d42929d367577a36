"""The roles that namespaces give, and what follows of them for whoever asks."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, literal, select, text, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased, contains_eager

from condarium.database.tables import Namespace, NamespaceRole, RoleMapping
from condarium.domain.access import Binding, Role
from condarium.domain.arn import ANY, Arn, parse_arn

#: notified when what somebody may do has changed: principals that are remembered are looked up anew
CHANNEL = "condarium_access"


def changed(session: Session) -> None:
    """Tells all processes, once this transaction has committed."""
    session.execute(text(f"notify {CHANNEL}"))


def bindings_of(session: Session, primary_namespace: str) -> list[Binding]:
    """What the namespaces give to those whose primary namespace this is, in one statement."""
    other = aliased(Namespace)
    own = (
        select(RoleMapping.entity, RoleMapping.role)
        .join(Namespace, Namespace.id == RoleMapping.namespace_id)
        .where(Namespace.name == primary_namespace, Namespace.deleted_on.is_(None))
    )
    given = (
        select(Namespace.name + literal(f"/{ANY}"), NamespaceRole.role)
        .join(Namespace, Namespace.id == NamespaceRole.namespace_id)
        .join(other, other.id == NamespaceRole.other_namespace_id)
        .where(other.name == primary_namespace, other.deleted_on.is_(None), Namespace.deleted_on.is_(None))
    )
    rows = session.execute(union_all(own, given)).all()
    return [Binding(parse_arn(row[0]), Role(row[1])) for row in rows]


# -- what a namespace gives to its own members ---------------------------------------------------------------------


def mappings(session: Session, namespace: Namespace) -> Sequence[RoleMapping]:
    query = select(RoleMapping).where(RoleMapping.namespace_id == namespace.id).order_by(RoleMapping.id)
    return session.execute(query).scalars().all()


def as_bindings(rows: Iterable[RoleMapping]) -> list[Binding]:
    return [Binding(parse_arn(row.entity), Role(row.role)) for row in rows]


def replace_mappings(session: Session, namespace: Namespace, wanted: Iterable[Binding], *, actor: str) -> None:
    """All mappings of the namespace, whose row must be locked; those that stay keep their ids."""
    known = {(row.entity, row.role): row.id for row in mappings(session, namespace)}
    asked = {(str(binding.arn), binding.role.value) for binding in wanted}
    gone = [known[key] for key in known.keys() - asked]
    if gone:
        session.execute(delete(RoleMapping).where(RoleMapping.id.in_(gone)))
    for entity, role in sorted(asked - known.keys()):
        session.add(RoleMapping(namespace_id=namespace.id, entity=entity, role=role, created_by=actor))
    session.flush()
    changed(session)


# -- what a namespace gives to the members of others ---------------------------------------------------------------


def listed(session: Session, namespace: Namespace) -> Sequence[NamespaceRole]:
    """With their other namespaces loaded, in the order they were made."""
    return session.execute(_roles(namespace).order_by(NamespaceRole.id)).scalars().all()


def find(session: Session, namespace: Namespace, other: Namespace) -> NamespaceRole | None:
    query = _roles(namespace).where(NamespaceRole.other_namespace_id == other.id)
    return session.execute(query).scalar_one_or_none()


def create(session: Session, namespace: Namespace, other: Namespace, role: Role, *, actor: str) -> bool:
    """False when there is one already: of two at the same time one gets it."""
    made = session.execute(
        insert(NamespaceRole)
        .values(namespace_id=namespace.id, other_namespace_id=other.id, role=role.value, created_by=actor)
        .on_conflict_do_nothing(index_elements=["namespace_id", "other_namespace_id"])
        .returning(NamespaceRole.id)
    ).scalar_one_or_none()
    changed(session)
    return made is not None


def change(session: Session, namespace: Namespace, other: Namespace, role: Role) -> bool:
    """False when there is none."""
    statement = update(NamespaceRole).where(*_between(namespace, other)).values(role=role.value)
    changed(session)
    return _touched(session, statement)


def remove(session: Session, namespace: Namespace, other: Namespace | None = None) -> bool:
    """One of them, or all without `other`. False when there was none."""
    statement = delete(NamespaceRole).where(*_between(namespace, other))
    changed(session)
    return _touched(session, statement)


def _between(namespace: Namespace, other: Namespace | None) -> list[Any]:
    conditions = [NamespaceRole.namespace_id == namespace.id]
    return conditions if other is None else [*conditions, NamespaceRole.other_namespace_id == other.id]


def _touched(session: Session, statement: Any) -> bool:
    found = session.execute(statement.returning(NamespaceRole.id).execution_options(synchronize_session=False)).all()
    return bool(found)


def _roles(namespace: Namespace) -> Any:
    return (
        select(NamespaceRole)
        .join(NamespaceRole.other_namespace)
        .options(contains_eager(NamespaceRole.other_namespace))
        .where(NamespaceRole.namespace_id == namespace.id, Namespace.deleted_on.is_(None))
    )


def whole(namespace: str, role: Role) -> Binding:
    """The role on all of a namespace."""
    return Binding(Arn(namespace, ANY), role)
