"""The packages of a build."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from condarium.database.listing import Page, Paging, read
from condarium.database.listing_builds import lock_of
from condarium.database.tables import Channel, LockPackage, PackageSummary
from condarium.domain.version_order import sort_key

VERSION = "version"
_ORDER = {"channel": LockPackage.channel, "name": LockPackage.name}
_DEFAULT = ("channel", "name")


@dataclass(frozen=True)
class PackageFilter:
    """Empty is no filter; `search` is a part of the name, or all of it when `exact`; `build` a part of the build."""

    search: str = ""
    exact: bool = False
    build: str = ""
    platform: str = ""


def page(session: Session, build_id: int, wanted: PackageFilter, *, paging: Paging) -> Page[Any]:
    """Rows of `lock_packages`, of one platform: the one asked for, else the one that was linked, else linux-64.

    The summary is what the indexed channels say of the package now; a lock does not have it.
    """
    query = (
        select(
            LockPackage.id,
            LockPackage.kind,
            LockPackage.name,
            LockPackage.version,
            LockPackage.build,
            LockPackage.channel,
            LockPackage.license,
            LockPackage.size,
            PackageSummary.summary,
        )
        .outerjoin(Channel, and_(Channel.url == LockPackage.channel, Channel.is_indexed))
        .outerjoin(
            PackageSummary, and_(PackageSummary.channel_id == Channel.id, PackageSummary.name == LockPackage.name)
        )
        .where(LockPackage.lock_id == lock_of(build_id, wanted.platform))
    )
    if wanted.search and wanted.exact:
        query = query.where(LockPackage.name == wanted.search)
    elif wanted.search:
        query = query.where(LockPackage.name.icontains(wanted.search, autoescape=True))
    if wanted.build:
        query = query.where(LockPackage.build.contains(wanted.build, autoescape=True))
    if VERSION in paging.sort:
        return _by_version(session, query, paging)
    return read(session, query, paging=paging, order=_ORDER, default=_DEFAULT, last=LockPackage.id)


def _by_version(session: Session, query: Select[*tuple[Any, ...]], paging: Paging) -> Page[Any]:
    """Sorted here: a lock has few packages, and keeps no keys of their versions."""
    names = [name for name in dict.fromkeys((*paging.sort, *_DEFAULT)) if name in (*_ORDER, VERSION)]

    def key(row: Any) -> list[Any]:
        return [(sort_key(row.version), row.version) if name == VERSION else getattr(row, name) for name in names]

    rows = sorted(session.execute(query.order_by(LockPackage.id)).all(), key=key, reverse=paging.descending)
    size = len(rows) if paging.size is None else paging.size
    start = (paging.page - 1) * size
    return Page(rows[start : start + size], paging.page, size, len(rows))
