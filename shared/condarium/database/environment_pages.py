"""Lists of environments, by page and by cursor (docs/adr/0011: what is in an index, what is counted)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, case, func, or_, select, true, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from condarium.database import counts, labels, pages
from condarium.database.environments import SHOWN_BUILD
from condarium.database.json_text import Shape
from condarium.database.listing import Paging, visible
from condarium.database.listing_builds import has_artifact, has_package
from condarium.database.pages import Cut, Depth, Filter, Kind, Sortable, TextPage, by_namespace
from condarium.database.reads import Prepared, Reads, prepare
from condarium.database.tables import Build, Environment, Namespace, RowCount
from condarium.domain.access import Visible

ORDER: dict[str, InstrumentedAttribute[Any]] = {"namespace": Namespace.name, "name": Environment.name}
BY_NAME = ("namespace", "name")


@dataclass(frozen=True)
class EnvironmentFilter(Filter):
    """`status`, `artifacts`, `packages` and `labels` are about the current build and all must hold."""

    search: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    artifacts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    #: each a text `key=value`
    labels: tuple[str, ...] = ()
    label_keys: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        found = super().values
        return found | {"search_0": _pattern(self.search)} if self.search else found


@dataclass(frozen=True)
class After:
    """Where the page before ended: its last row's id, and its values of the sort columns."""

    id: int
    values: tuple[str, ...]


async def page(reads: Reads, wanted: EnvironmentFilter, *, shown: Visible, paging: Paging, shape: Shape) -> TextPage:
    """`shape` may have the columns of `_COLUMNS`. Raises Unavailable."""
    cut = Cut.of(paging)
    order = tuple(name for name in dict.fromkeys(paging.sort) if name in ORDER) or BY_NAME
    question = _Question(shown, wanted.kind, order, paging.descending, cut.depth)
    return await pages.read(reads, _prepared(question, shape), wanted.values, cut)


async def after(
    reads: Reads,
    wanted: EnvironmentFilter,
    *,
    shown: Visible,
    sort: Sequence[str],
    descending: bool,
    limit: int,
    cursor: After | None,
    shape: Shape,
) -> tuple[TextPage, After | None]:
    """The rows behind `cursor`, the count of all rows, and the cursor of the last row. `sort` holds names of ORDER.

    Raises Unavailable.
    """
    question = _Question(shown, wanted.kind, tuple(sort), descending, Depth.FIRST, cursor is not None, last=True)
    values = wanted.values
    if cursor is not None:
        values |= {"after_id": cursor.id, **{f"after_{n}": v for n, v in zip(sort, cursor.values, strict=True)}}
    found = await pages.read(reads, _prepared(question, shape), values, Cut(limit))
    identity, *names = found.last
    return found, After(identity, tuple(names)) if found.shown else None


@dataclass(frozen=True)
class _Question:
    """What decides the text of a statement. `behind` a cursor; `last` asks for what a cursor remembers, too."""

    shown: Visible
    kind: Kind
    order: tuple[str, ...]
    descending: bool
    depth: Depth
    behind: bool = False
    last: bool = False

    @property
    def along_names(self) -> bool:
        """Whether each namespace's index gives its part of the list in order."""
        plain = self.kind.only("namespace") and by_namespace(self.shown)
        return plain and self.order == BY_NAME and self.depth != Depth.WHOLE

    @property
    def cursor(self) -> Mapping[str, ColumnElement[Any]]:
        return {name: bindparam(f"after_{name}", None, type_=Text()) for name in self.order}


@lru_cache(pages.KINDS)
def _prepared(question: _Question, shape: Shape) -> Prepared:
    query = _along_names(question) if question.along_names else _any_order(question)
    if question.kind.only("namespace"):
        count = _counter(question)
    else:
        uncut = _matching(question).with_only_columns(Environment.id, maintain_column_froms=True)
        # A page behind a cursor is short at the list's end, not because it is all there is.
        count = pages.counted(uncut, Depth.LATER if question.behind else question.depth)
    last = ("id", *({"namespace": "namespace", "name": "name"}[name] for name in question.order))
    return prepare(pages.text_page(query.subquery("page"), shape, count=count, last=last if question.last else ()))


_COLUMNS = (
    Environment.id,
    Environment.name,
    Environment.description,
    SHOWN_BUILD,
    Namespace.id.label("namespace_id"),
    Namespace.name.label("namespace"),
)


def _any_order(question: _Question) -> Select[*tuple[Any, ...]]:
    columns = [*(ORDER[name] for name in question.order), Environment.id]
    query = _matching(question).order_by(*pages.ordered_by(columns, descending=question.descending))
    if question.behind:
        query = query.where(_behind(question, columns))
    return question.depth.cut(query)


def _behind(question: _Question, columns: Sequence[Sortable]) -> ColumnElement[bool]:
    row = tuple_(*columns)
    last = tuple_(*question.cursor.values(), bindparam("after_id", None, type_=BigInteger()))
    return row < last if question.descending else row > last


def _along_names(question: _Question) -> Select[*tuple[Any, ...]]:
    """Of each namespace, in their order, no more environments than the page can need; unique names need no id."""
    space = select(Namespace.id, Namespace.name).where(*_spaces(question, question.shown)).subquery("space")
    found = (
        select(Environment.id, Environment.name, Environment.description, SHOWN_BUILD)
        .where(pages.exactly(Environment.namespace_id, space.c.id), Environment.deleted_on.is_(None))
        .order_by(*pages.ordered_by([Environment.namespace_id, Environment.name], descending=question.descending))
        .limit(pages.LIMIT if question.depth == Depth.FIRST else pages.REACH)
    )
    if question.behind:
        found = found.where(_behind(question, [space.c.name, Environment.name, Environment.id]))
        if not question.descending:
            # This alone lets the index start where the page before ended.
            same = space.c.name == question.cursor["namespace"]
            found = found.where(Environment.name >= case((same, question.cursor["name"]), else_=""))
    each = found.lateral("found")
    query = (
        select(*each.c, space.c.id.label("namespace_id"), space.c.name.label("namespace"))
        .select_from(space.join(each, true()))
        .order_by(*pages.ordered_by([space.c.name, each.c.name], descending=question.descending))
    )
    if question.behind:
        edge = question.cursor["namespace"]
        query = query.where(space.c.name <= edge if question.descending else space.c.name >= edge)
    return question.depth.cut(query)


def _counter(question: _Question) -> ColumnElement[int]:
    """Sums of the namespaces that are shown whole; what is shown in others is counted."""
    shown = question.shown
    if shown.everything and question.kind.only():
        return counts.everywhere(RowCount.environments)
    whole = select(Namespace.id).where(*_spaces(question, shown.whole_namespaces))
    total = counts.within(RowCount.environments, whole)
    if by_namespace(shown):
        return total
    parts = select(Namespace.id).where(*_spaces(question, shown)).except_(whole)
    found = _matching(question).where(Namespace.id.in_(parts)).subquery()
    return total + select(func.count()).select_from(found).scalar_subquery()


def _spaces(question: _Question, shown: Visible) -> Sequence[ColumnElement[bool]]:
    """Of namespaces of which anything is shown."""
    named = [Namespace.name == name for name in question.kind.parameters("namespace")]
    return [Namespace.deleted_on.is_(None), visible(shown, environment=None), *named]


def _matching(question: _Question) -> Select[*tuple[Any, ...]]:
    kind = question.kind
    query = (
        select(*_COLUMNS)
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .where(Environment.deleted_on.is_(None), Namespace.deleted_on.is_(None), visible(question.shown))
    )
    for status in kind.parameters("status"):
        query = query.join(Build, Build.id == Environment.current_build_id).where(Build.status == status)
    current = Environment.current_build_id
    return query.where(
        *(
            or_(Namespace.name.ilike(text, escape="/"), Environment.name.ilike(text, escape="/"))
            for text in kind.parameters("search")
        ),
        *(Namespace.name == name for name in kind.parameters("namespace")),
        *(Environment.name == name for name in kind.parameters("name")),
        *(has_artifact(current, artifact) for artifact in kind.parameters("artifacts")),
        *(has_package(current, package) for package in kind.parameters("packages")),
        *(labels.has_pair(current, pair) for pair in kind.parameters("labels")),
        *(labels.has_key(current, key) for key in kind.parameters("label_keys")),
    )


def _pattern(search: str) -> str:
    """Anything that holds the text, for LIKE."""
    escaped = search.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"
