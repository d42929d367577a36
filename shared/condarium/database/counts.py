"""How many rows a list has, as SQL, out of the sums that triggers keep (docs/adr/0011)."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, Select, cast, func, literal_column, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from condarium.database.tables import Namespace, RowCount
from condarium.database.tables.counts import INSTALLATION

_RECOUNT = (
    "lock table namespaces, environments, builds, row_counts in share row exclusive mode",
    "delete from row_counts",
    """
    insert into row_counts (namespace_id, namespaces, environments, builds)
    select coalesce(space, 0), sum(namespaces), sum(environments), sum(builds)
    from (
        select null::bigint as space, 1 as namespaces, 0 as environments, 0 as builds
        from namespaces where deleted_on is null
        union all select namespace_id, 0, 1, 0 from environments where deleted_on is null
        union all select namespace_id, 0, 0, 1 from builds
    ) as found
    group by grouping sets ((), (space)) having count(*) > 0 and (grouping(space) = 1 or space is not null)
    """,
)


def everywhere(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    """The sum of `column` of RowCount over all namespaces that are not deleted."""
    deleted = select(Namespace.id).where(Namespace.deleted_on.is_not(None))
    return _sum(column, RowCount.namespace_id == literal_column(str(INSTALLATION))) - _sum(
        column, RowCount.namespace_id.in_(deleted)
    )


def within(column: InstrumentedAttribute[int], namespaces: Select[Any]) -> ColumnElement[int]:
    """The same over the namespaces whose ids `namespaces` gives."""
    return _sum(column, RowCount.namespace_id.in_(namespaces))


def _sum(column: InstrumentedAttribute[int], condition: ColumnElement[bool]) -> ScalarSelect[int]:
    total = func.coalesce(func.sum(column), literal_column("0"))
    return select(cast(total, BigInteger)).where(condition).scalar_subquery()


def recount(session: Session) -> None:
    """Counts anew, while nobody else writes: for whoever has changed rows with the triggers switched off."""
    for statement in _RECOUNT:
        session.execute(text(statement))
