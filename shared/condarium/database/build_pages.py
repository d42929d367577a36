"""Lists of builds (docs/adr/0011: what is in an index, what is counted)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, func, select, true
from sqlalchemy.orm import InstrumentedAttribute

from condarium.database import counts, labels, pages
from condarium.database.json_text import Shape
from condarium.database.listing import Paging, visible
from condarium.database.listing_builds import has_artifact, has_package
from condarium.database.pages import Cut, Depth, Filter, Kind, TextPage, by_namespace, few_namespaces
from condarium.database.reads import Prepared, Reads, prepare
from condarium.database.tables import Build, Environment, Namespace, RowCount
from condarium.domain.access import Visible

ORDER: dict[str, InstrumentedAttribute[Any]] = {
    "id": Build.id,
    "started_on": Build.started_on,
    "scheduled_on": Build.scheduled_on,
    "ended_on": Build.ended_on,
}


@dataclass(frozen=True)
class BuildFilter(Filter):
    """A build must have all of `artifacts`, `packages` and `labels`."""

    status: str = ""
    environment_id: int | None = None
    namespace: str = ""
    name: str = ""
    artifacts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    #: each a text `key=value`
    labels: tuple[str, ...] = ()
    label_keys: tuple[str, ...] = ()


async def page(reads: Reads, wanted: BuildFilter, *, shown: Visible, paging: Paging, shape: Shape) -> TextPage:
    """Builds, deleted ones too, as conda-store lists them; those of deleted namespaces are not shown.

    `shape` may have _COLUMNS, `environment` and `namespace`. Raises Unavailable.
    """
    cut = Cut.of(paging)
    order = tuple(name for name in dict.fromkeys(paging.sort) if name in ORDER) or ("id",)
    prepared = _prepared(shown, wanted.kind, order, paging.descending, cut.depth, shape)
    return await pages.read(reads, prepared, wanted.values, cut)


@lru_cache(pages.KINDS)
def _prepared(
    shown: Visible, kind: Kind, order: tuple[str, ...], descending: bool, depth: Depth, shape: Shape
) -> Prepared:
    names = order if "id" in order else (*order, "id")
    by = pages.ordered_by([ORDER[name] for name in names], descending=descending)
    conditions = [_seen(shown, kind), *_filters(kind)]
    one_by_one = by_namespace(shown) and (kind.parameters("namespace") or few_namespaces(shown))
    columns = [Build.id] if depth == Depth.DEEP else _COLUMNS
    if one_by_one and kind.only("namespace") and order == ("id",) and depth != Depth.WHOLE:
        query = _along_namespaces(_spaces(shown, kind), columns, depth, descending=descending)
    else:
        query = depth.cut(select(*columns).where(*conditions).order_by(*by))
    if depth == Depth.DEEP:
        # Ids come out of an index alone; only those of the page are looked up.
        found = query.subquery()
        query = select(*_COLUMNS).join(found, found.c.id == Build.id).order_by(*by)
    if kind.only("namespace"):
        count = _counter(shown, kind)
    else:
        count = pages.counted(select(Build.id).where(*conditions), depth)
    return prepare(pages.text_page(_named(query.subquery("found")), shape, count=count))


_COLUMNS = (
    Build.id,
    Build.environment_id,
    Build.namespace_id,
    Build.key,
    Build.generation,
    Build.status,
    Build.status_info,
    Build.reason,
    Build.size,
    Build.scheduled_on,
    Build.started_on,
    Build.ended_on,
    Build.deleted_on,
    Build.cancel_requested_at.is_not(None).label("cancel_requested"),
)


def _along_namespaces(
    spaces: Select[Any], columns: Sequence[Any], depth: Depth, *, descending: bool
) -> Select[*tuple[Any, ...]]:
    """Of each namespace, in the order of ids, no more builds than the page can need."""
    space = spaces.subquery("space")
    each = (
        select(*columns)
        .where(pages.exactly(Build.namespace_id, space.c.id))
        .order_by(*pages.ordered_by([Build.namespace_id, Build.id], descending=descending))
        .limit(pages.LIMIT if depth == Depth.FIRST else pages.REACH)
        .lateral("each_one")
    )
    query = select(*each.c).select_from(space.join(each, true()))
    return depth.cut(query.order_by(*pages.ordered_by([each.c.id], descending=descending)))


def _named(found: Subquery) -> Subquery:
    """The rows of the page with the names of their environments and namespaces.

    A look for each row: a join would have Postgres read all environments.
    """
    environment = select(Environment.name).where(Environment.id == found.c.environment_id).scalar_subquery()
    namespace = select(Namespace.name).where(Namespace.id == found.c.namespace_id).scalar_subquery()
    return select(*found.c, environment.label("environment"), namespace.label("namespace")).subquery("page")


def _counter(shown: Visible, kind: Kind) -> ColumnElement[int]:
    """Sums of the namespaces that are shown whole; what is shown in others is counted."""
    if shown.everything and kind.only():
        return counts.everywhere(RowCount.builds)
    whole = _spaces(shown.whole_namespaces, kind)
    total = counts.within(RowCount.builds, whole)
    if by_namespace(shown):
        return total
    found = select(func.count()).where(_seen_environments(shown, Namespace.id.in_(_spaces(shown, kind).except_(whole))))
    return total + found.select_from(Build).scalar_subquery()


def _spaces(shown: Visible, kind: Kind) -> Select[Any]:
    """Ids of the namespaces of which anything is shown."""
    named = [Namespace.name == name for name in kind.parameters("namespace")]
    return select(Namespace.id).where(Namespace.deleted_on.is_(None), visible(shown, environment=None), *named)


def _seen(shown: Visible, kind: Kind) -> ColumnElement[bool]:
    """Builds that the caller sees, of the namespace that is asked for."""
    if kind.parameters("namespace"):
        one = Build.namespace_id == _spaces(shown, kind).scalar_subquery()
        return one if by_namespace(shown) else one & _seen_environments(shown)
    if shown.everything:
        return Build.namespace_id.not_in(select(Namespace.id).where(Namespace.deleted_on.is_not(None)))
    return Build.namespace_id.in_(_spaces(shown, kind)) if by_namespace(shown) else _seen_environments(shown)


def _seen_environments(shown: Visible, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    environments = (
        select(Environment.id)
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .where(Namespace.deleted_on.is_(None), visible(shown), *more)
    )
    return Build.environment_id.in_(environments)


def _filters(kind: Kind) -> Sequence[ColumnElement[bool]]:
    return [
        *(Build.status == status for status in kind.parameters("status")),
        *(Build.environment_id == environment for environment in kind.parameters("environment_id")),
        *(
            Build.environment_id.in_(select(Environment.id).where(Environment.name == name))
            for name in kind.parameters("name")
        ),
        *(has_artifact(Build.id, artifact) for artifact in kind.parameters("artifacts")),
        *(has_package(Build.id, package) for package in kind.parameters("packages")),
        *(labels.has_pair(Build.id, pair) for pair in kind.parameters("labels")),
        *(labels.has_key(Build.id, key) for key in kind.parameters("label_keys")),
    ]
