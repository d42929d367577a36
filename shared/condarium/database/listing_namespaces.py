"""What each namespace uses."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from condarium.database.listing import visible
from condarium.database.tables import Build, Environment, Namespace, Prefix
from condarium.domain.access import Visible


@dataclass(frozen=True)
class Usage:
    """`storage` in bytes of prefixes; hard links between prefixes are counted in each."""

    namespace: str
    environments: int
    builds: int
    storage: int


def usage(session: Session, *, shown: Visible) -> list[Usage]:
    """One row per namespace that the caller may see."""
    environments = (
        select(func.count())
        .where(Environment.namespace_id == Namespace.id, Environment.deleted_on.is_(None))
        .scalar_subquery()
    )
    builds = (
        select(func.count())
        .select_from(Build)
        .join(Environment, Environment.id == Build.environment_id)
        .where(Environment.namespace_id == Namespace.id, Build.deleted_on.is_(None))
        .scalar_subquery()
    )
    storage = (
        select(func.coalesce(func.sum(Prefix.size), 0))
        .where(Prefix.namespace_id == Namespace.id, Prefix.deleted_on.is_(None))
        .scalar_subquery()
    )
    rows = session.execute(
        select(Namespace.name, environments, builds, storage)
        .where(Namespace.deleted_on.is_(None), visible(shown, environment=None))
        .order_by(Namespace.name)
    )
    return [Usage(row[0], row[1], row[2], int(row[3])) for row in rows]
