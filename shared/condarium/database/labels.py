"""Labels of builds: kept, searched, and as tags of images."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Build, BuildLabel
from condarium.domain.build import Status
from condarium.domain.labels import tag_of


def put(session: Session, build_id: int, labels: Mapping[str, str], *, actor: str) -> None:
    """Gives the build these labels (checked) and no others."""
    session.execute(
        delete(BuildLabel)
        .where(BuildLabel.build_id == build_id, BuildLabel.key.not_in(list(labels)))
        .execution_options(synchronize_session=False)
    )
    if not labels:
        return
    rows = [{"build_id": build_id, "key": key, "value": value, "created_by": actor} for key, value in labels.items()]
    new = insert(BuildLabel).values(rows)
    changed = {name: new.excluded[name] for name in ("value", "created_by", "created_on")}
    session.execute(
        new.on_conflict_do_update(
            index_elements=["build_id", "key"], set_=changed, where=BuildLabel.value != new.excluded.value
        )
    )


def of_build(session: Session, build_id: int) -> dict[str, str]:
    """Sorted by key."""
    rows = session.execute(
        select(BuildLabel.key, BuildLabel.value).where(BuildLabel.build_id == build_id).order_by(BuildLabel.key)
    )
    return {row.key: row.value for row in rows}


def has_pair(build_id: Any, pair: Any) -> ColumnElement[bool]:
    """Whether the build of that column has the label, a text `key=value`."""
    return exists().where(
        BuildLabel.build_id == build_id,
        BuildLabel.key == func.split_part(pair, "=", 1),
        BuildLabel.value == func.split_part(pair, "=", 2),
    )


def has_key(build_id: Any, key: Any) -> ColumnElement[bool]:
    """Whether the build of that column has a label of that key."""
    return exists().where(BuildLabel.build_id == build_id, BuildLabel.key == key)


def builds_with(wanted: Sequence[tuple[str, str]]) -> Select[Any]:
    """The ids of builds that have one of the labels, as a subquery."""
    return select(BuildLabel.build_id).where(tuple_(BuildLabel.key, BuildLabel.value).in_(list(wanted)))


def tags(session: Session, environment_id: int) -> set[str]:
    """Of completed builds: what can be pulled without waiting for a build."""
    rows = session.execute(
        select(BuildLabel.key, BuildLabel.value)
        .join(Build, Build.id == BuildLabel.build_id)
        .where(Build.environment_id == environment_id, Build.deleted_on.is_(None), Build.status == Status.COMPLETED)
        .distinct()
    )
    return {tag_of(row.key, row.value) for row in rows}
