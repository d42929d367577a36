"""Settings by level: what is set where, and by whom it was changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, literal, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Namespace, SettingChange, SettingRow
from condarium.domain.settings import KEPT, Effective, Level, merge

#: of the transaction lock under which settings are changed, so that each change knows what was there before
_CHANGING = 0x73657474


@dataclass(frozen=True)
class Place:
    """Where settings are set: an environment of a namespace, the namespace, or (without one) globally."""

    namespace_id: int | None = None
    environment: str = ""

    @property
    def level(self) -> Level:
        if self.namespace_id is None:
            return Level.GLOBAL
        return Level.ENVIRONMENT if self.environment else Level.NAMESPACE

    @property
    def above(self) -> "Place":
        """The next level up; the global one is its own."""
        return Place(self.namespace_id) if self.environment else Place()


GLOBAL = Place()


def levels(session: Session, place: Place = GLOBAL, *, deployment: Mapping[str, Any]) -> dict[Level, dict[str, Any]]:
    """What is set at each level from the deployment to `place`. Other namespaces and environments are not read."""
    condition: ColumnElement[bool] = SettingRow.namespace_id.is_(None)
    if place.namespace_id is not None:
        condition = or_(
            condition,
            and_(SettingRow.namespace_id == place.namespace_id, SettingRow.environment.in_({"", place.environment})),
        )
    found: dict[Level, dict[str, Any]] = {Level.DEPLOYMENT: dict(deployment)}
    for row in session.execute(
        select(SettingRow.namespace_id, SettingRow.environment, SettingRow.key, SettingRow.value).where(condition)
    ):
        found.setdefault(Place(row.namespace_id, row.environment).level, {})[row.key] = row.value
    return found


def effective(session: Session, place: Place = GLOBAL, *, deployment: Mapping[str, Any]) -> Effective:
    """What holds at `place`. `deployment` is `Deployment.values`."""
    return merge(levels(session, place, deployment=deployment))


def change(session: Session, place: Place, changes: Mapping[str, Any], *, actor: str) -> dict[str, tuple[Any, Any]]:
    """Sets (None: takes back) what `settings.check_changes` has checked; {key: (from, to)} of what really changed."""
    session.execute(select(func.pg_advisory_xact_lock(_CHANGING)))
    here = and_(
        SettingRow.namespace_id.is_not_distinct_from(place.namespace_id), SettingRow.environment == place.environment
    )
    rows = session.execute(select(SettingRow.key, SettingRow.value).where(here, SettingRow.key.in_(list(changes))))
    before: dict[str, Any] = {row.key: row.value for row in rows}
    changed: dict[str, tuple[Any, Any]] = {}
    for key, value in changes.items():
        if before.get(key) == value:
            continue
        session.execute(delete(SettingRow).where(here, SettingRow.key == key))
        if value is not None:
            session.execute(insert(SettingRow).values(**_of(place), key=key, value=value, changed_by=actor))
        session.execute(
            insert(SettingChange).values(**_of(place), key=key, before=before.get(key), after=value, changed_by=actor)
        )
        changed[key] = (before.get(key), value)
    return changed


def keep(session: Session, namespace_id: int, name: str) -> None:
    """A new namespace is held to what the last one of its name was held to (`domain.settings.KEPT`)."""
    last = (
        select(Namespace.id)
        .where(Namespace.name == name, Namespace.deleted_on.is_not(None))
        .order_by(Namespace.deleted_on.desc(), Namespace.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    columns = (SettingRow.environment, SettingRow.key, SettingRow.value, SettingRow.changed_on, SettingRow.changed_by)
    found = select(literal(namespace_id), *columns).where(SettingRow.namespace_id == last, SettingRow.key.in_(KEPT))
    session.execute(insert(SettingRow).from_select(["namespace_id", *(column.key for column in columns)], found))


def _of(place: Place) -> dict[str, Any]:
    return {"namespace_id": place.namespace_id, "environment": place.environment}


def origins(session: Session, place: Place) -> dict[tuple[Level, str], SettingRow]:
    """The rows that stand at `place` and above, by level and key: who set what, and when."""
    places = [place, place.above, GLOBAL]
    condition = or_(
        *(
            and_(
                SettingRow.namespace_id.is_not_distinct_from(each.namespace_id),
                SettingRow.environment == each.environment,
            )
            for each in places
        )
    )
    return {
        (Place(row.namespace_id, row.environment).level, row.key): row
        for row in session.execute(select(SettingRow).where(condition)).scalars()
    }


def history(session: Session, place: Place, *, limit: int = 1000, before: int | None = None) -> Sequence[SettingChange]:
    """The changes at exactly this place, the newest first; `before` is the id of the last one that was seen."""
    return (
        session.execute(
            select(SettingChange)
            .where(
                SettingChange.namespace_id.is_not_distinct_from(place.namespace_id),
                SettingChange.environment == place.environment,
                true() if before is None else SettingChange.id < before,
            )
            .order_by(SettingChange.id.desc())
            .limit(limit)
        )
        .scalars()
        .all()
    )


def of_namespaces(session: Session, keys: Sequence[str]) -> dict[int | None, dict[str, Any]]:
    """What every namespace has set of `keys` itself, by its id; None is the global level. For lists of namespaces."""
    found: dict[int | None, dict[str, Any]] = {}
    for row in session.execute(
        select(SettingRow.namespace_id, SettingRow.key, SettingRow.value)
        .outerjoin(Namespace, Namespace.id == SettingRow.namespace_id)
        .where(SettingRow.key.in_(keys), SettingRow.environment == "", Namespace.deleted_on.is_(None))
    ):
        found.setdefault(row.namespace_id, {})[row.key] = row.value
    return found
