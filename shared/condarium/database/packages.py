"""Questions about what the indexed channels have, answered in milliseconds over half a million records.

A row is a version of a package of a channel. There are far fewer names than rows, and each name knows how many
versions it has: names are searched and counted, and rows are read only of the names that a page shows. So a page costs
the same wherever it lies, and its `count` never counts rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, exists, func, lateral, literal, select, true, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from condarium.database.listing import Page, Paging
from condarium.database.tables import Channel, ChannelSync, Package, PackageName, PackageRecord, PackageSummary

#: what rows are sorted by and made distinct by, in the order that stands when nothing else is asked for
COLUMNS = ("channel", "name", "version")
_NAMED = ("channel", "name")


@dataclass(frozen=True)
class Wanted:
    """Empty is no filter. `search` is a part of the name, or all of it when `exact`; `build` a part of a build's text.

    Of the rows that have the same in all columns of `distinct` only the first is listed.
    """

    search: str = ""
    exact: bool = False
    build: str = ""
    channel: str = ""
    distinct: tuple[str, ...] = ()


def page(session: Session, wanted: Wanted, *, paging: Paging) -> Page[Any]:
    """Rows of id, channel_id, channel, name, version, license and summary, sorted as conda sorts versions.

    Columns that are distinct are sorted by first, then those of `paging.sort`, then the others.
    """
    distinct = [name for name in COLUMNS if name in wanted.distinct]
    asked = [name for name in (*wanted.distinct, *paging.sort) if name in COLUMNS]
    listing = _Listing(session, wanted, tuple(dict.fromkeys((*asked, *COLUMNS))), paging)
    if distinct in (["name"], list(_NAMED)):
        return listing.first_of_names(distinct)
    if distinct == ["channel"]:
        return listing.first_of_channels()
    if len(distinct) in (0, 3) and "name" in listing.leading:
        return listing.all_versions()
    return listing.whatever(distinct)


@dataclass(frozen=True)
class WantedRecords:
    """Records of one package: `name` in full; empty is no filter; `build` is a part of a build's text."""

    name: str
    version: str = ""
    build: str = ""
    channel: str = ""
    subdir: str = ""


def records(session: Session, wanted: WantedRecords, *, paging: Paging) -> Page[Any]:
    """What repodata says of each file of a package, by version, channel, subdir and build."""
    query = (
        select(
            Channel.url.label("channel"),
            ChannelSync.part.label("subdir"),
            PackageName.name,
            Package.version,
            *(getattr(PackageRecord, name) for name in _SHOWN),
        )
        .select_from(PackageName)
        .join(Channel, Channel.id == PackageName.channel_id)
        .join(Package, Package.name_id == PackageName.id)
        .join(PackageRecord, PackageRecord.package_id == Package.id)
        .join(ChannelSync, ChannelSync.id == PackageRecord.sync_id)
        .where(Channel.is_indexed.is_(true()), PackageName.name == wanted.name.lower())
    )
    for column, value in ((Package.version, wanted.version), (Channel.url, wanted.channel)):
        query = query.where(column == value) if value else query
    if wanted.subdir:
        query = query.where(ChannelSync.part == wanted.subdir)
    if wanted.build:
        query = query.where(PackageRecord.build.contains(wanted.build, autoescape=True))
    order: list[Any] = [Package.version_key, Package.version, Channel.url, ChannelSync.part]
    order += [PackageRecord.build_number, PackageRecord.build, PackageRecord.file_name]
    size = paging.size or 100
    rows = session.execute(
        query.order_by(*(column.desc() if paging.descending else column.asc() for column in order))
        .limit(size)
        .offset((paging.page - 1) * size)
    ).all()
    count = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    return Page(rows, paging.page, size, count)


_SHOWN = (
    "file_name", "build", "build_number", "license", "size", "timestamp", "sha256", "depends", "constrains",
)  # fmt: skip


class _Listing:
    def __init__(self, session: Session, wanted: Wanted, order: tuple[str, ...], paging: Paging) -> None:
        self.session, self.wanted, self.order = session, wanted, order
        self.descending = paging.descending
        self.number, self.size = paging.page, paging.size or 100
        self.offset = (paging.page - 1) * self.size
        #: the columns of names by which rows are sorted before anything else
        self.leading = order[: next((i for i, name in enumerate(order) if name not in _NAMED), len(order))]

    def all_versions(self) -> Page[Any]:
        """Finds the names that the page lies in by running sums of how many rows they have."""
        keys = [_EXPRESSIONS[name][0] for name in self.leading]
        weighted = self._weighted(keys).subquery()
        order = [self._directed(column) for column in list(weighted.c)[: len(keys)]]
        running = select(
            *weighted.c,
            func.sum(weighted.c.versions).over(order_by=order, rows=(None, 0)).label("upto"),
            func.sum(weighted.c.versions).over().label("total"),
        ).subquery()
        before = running.c.upto - running.c.versions
        # Sums of counts are Integers to SQLAlchemy, and positions may be larger than what these hold.
        start, end = (literal(position, BigInteger) for position in (self.offset, self.offset + self.size))
        inside = and_(running.c.upto > start, before < end)
        groups = self.session.execute(select(running).where(inside).order_by(running.c.upto)).all()
        if not groups:
            beyond = self.session.execute(select(func.sum(weighted.c.versions))).scalar_one() if self.offset else 0
            return self._page([], beyond or 0)
        skipped = groups[0].upto - groups[0].versions
        shown = tuple_(*keys).in_([tuple(group[: len(keys)]) for group in groups])
        rows = self._rows().where(shown, *self._builds()).order_by(*self._sorted(self.order))
        return self._page(rows.limit(self.size).offset(int(self.offset - skipped)), groups[0].total)

    def _weighted(self, keys: Sequence[Any]) -> Select[*tuple[Any, ...]]:
        """The `keys` of names, and how many rows each has."""
        named = self._names()
        if self.wanted.build:
            such = named.join(Package, Package.name_id == PackageName.id).where(self._has_build(Package.id))
            return such.with_only_columns(*keys, func.count(Package.id).label("versions")).group_by(*keys)
        if len(keys) == len(_NAMED):
            return named.with_only_columns(*keys, PackageName.versions.label("versions"))
        return named.with_only_columns(*keys, func.sum(PackageName.versions).label("versions")).group_by(*keys)

    def first_of_names(self, distinct: Sequence[str]) -> Page[Any]:
        """A row for each name (of each channel): names are paged, then the first version of each is looked up."""
        columns = [name for name in self.order if name in distinct]
        keys = [_EXPRESSIONS[name][0] for name in columns]
        named = self._names().where(*self._has_such_versions()).with_only_columns(*keys).group_by(*keys)
        count = self._count(named)
        found = self.session.execute(named.order_by(*self._sorted(columns)).limit(self.size).offset(self.offset)).all()
        if not found:
            return self._page([], count)
        inside = tuple_(*keys).in_([tuple(row) for row in found])
        first = self._first_version()
        rows = self._rows(first).where(inside).ext(distinct_on(*keys)).order_by(*self._sorted(self.order, first))
        return self._page(rows, count)

    def first_of_channels(self) -> Page[Any]:
        """A row for each channel that has such packages."""
        named = self._names().where(*self._has_such_versions()).with_only_columns(Channel.id, Channel.url).distinct()
        count = self._count(named)
        channels = named.order_by(*self._sorted(["channel"])).limit(self.size).offset(self.offset)
        found: list[Any] = []
        for channel in self.session.execute(channels).all():
            rows = self._rows().where(Channel.id == channel.id, *self._named(), *self._builds())
            found += self.session.execute(rows.order_by(*self._sorted(self.order[1:])).limit(1)).all()
        return Page(found, self.number, self.size, count)

    def whatever(self, distinct: Sequence[str]) -> Page[Any]:
        """Rows as the database finds them: sorted by version first, or distinct versions."""
        query = self._rows().where(*self._named(), *self._builds())
        if distinct:
            columns = [column for name in self.order if name in distinct for column in _EXPRESSIONS[name]]
            count = self._count(query.with_only_columns(*columns).distinct())
            query = query.ext(distinct_on(*columns))
        elif self.wanted.build:
            count = self._count(query.with_only_columns(Package.id))
        else:
            sums = self._names().with_only_columns(func.coalesce(func.sum(PackageName.versions), 0))
            count = self.session.execute(sums).scalar_one()
        return self._page(query.order_by(*self._sorted(self.order)).limit(self.size).offset(self.offset), count)

    def _page(self, query: Any, count: Any) -> Page[Any]:
        rows = query if isinstance(query, list) else self.session.execute(query).all()
        return Page(rows, self.number, self.size, int(count))

    def _count(self, query: Select[*tuple[Any, ...]]) -> int:
        return self.session.execute(select(func.count()).select_from(query.subquery())).scalar_one()

    def _names(self) -> Select[*tuple[Any, ...]]:
        return select(PackageName.id).join(Channel, Channel.id == PackageName.channel_id).where(*self._named())

    def _named(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [Channel.is_indexed.is_(true())]
        search = self.wanted.search.lower()
        if search and self.wanted.exact:
            conditions.append(PackageName.name == search)
        elif search:
            conditions.append(PackageName.name.contains(search, autoescape=True))
        if self.wanted.channel:
            conditions.append(Channel.url == self.wanted.channel)
        return conditions

    def _has_build(self, package_id: Any) -> ColumnElement[bool]:
        return exists().where(
            PackageRecord.package_id == package_id, PackageRecord.build.contains(self.wanted.build, autoescape=True)
        )

    def _builds(self) -> list[ColumnElement[bool]]:
        return [self._has_build(Package.id)] if self.wanted.build else []

    def _has_such_versions(self) -> list[ColumnElement[bool]]:
        """On names: whether a version of it has such a build."""
        if not self.wanted.build:
            return []
        return [exists().where(and_(Package.name_id == PackageName.id, self._has_build(Package.id)))]

    def _first_version(self) -> Any:
        """Of a name: its oldest version, or its newest where the list descends."""
        version = aliased(Package)
        query = select(version.id, version.version, version.version_key, version.license).where(
            version.name_id == PackageName.id
        )
        if self.wanted.build:
            query = query.where(self._has_build(version.id))
        columns = (version.version_key, version.version)
        return lateral(query.order_by(*(self._directed(column) for column in columns)).limit(1)).alias("first")

    def _rows(self, versions: Any = None) -> Select[*tuple[Any, ...]]:
        """Channels, names, and of each name its versions, or what the lateral `versions` gives."""
        source = Package if versions is None else versions.c
        query = (
            select(
                source.id,
                Channel.id.label("channel_id"),
                Channel.url.label("channel"),
                PackageName.name,
                source.version,
                source.license,
                PackageSummary.summary,
            )
            .select_from(PackageName)
            .join(Channel, Channel.id == PackageName.channel_id)
        )
        if versions is None:
            query = query.join(Package, Package.name_id == PackageName.id)
        else:
            query = query.join(versions, true())
        summarised = and_(PackageSummary.channel_id == Channel.id, PackageSummary.name == PackageName.name)
        return query.outerjoin(PackageSummary, summarised).where(Channel.is_indexed)

    def _sorted(self, names: Sequence[str], versions: Any = None) -> list[Any]:
        found: list[Any] = []
        for name in names:
            if name == "version" and versions is not None:
                found += [versions.c.version_key, versions.c.version]
            else:
                found += _EXPRESSIONS[name]
        return [self._directed(column) for column in found]

    def _directed(self, column: Any) -> Any:
        return column.desc() if self.descending else column.asc()


_EXPRESSIONS: dict[str, list[Any]] = {
    "channel": [Channel.url],
    "name": [PackageName.name],
    "version": [Package.version_key, Package.version],
}
