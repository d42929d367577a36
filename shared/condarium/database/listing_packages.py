"""The packages of a build."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from condarium.database.listing import Page, Paging, read
from condarium.database.listing_builds import lock_of
from condarium.database.tables import LockPackage


@dataclass(frozen=True)
class PackageFilter:
    """Empty is no filter; `search` is a part of the name, or all of it when `exact`; `build` a part of the build."""

    search: str = ""
    exact: bool = False
    build: str = ""
    platform: str = ""


def page(session: Session, build_id: int, wanted: PackageFilter, *, paging: Paging) -> Page[Any]:
    """Rows of `lock_packages`, of one platform: the one asked for, else the one that was linked, else linux-64."""
    query = select(
        LockPackage.id,
        LockPackage.kind,
        LockPackage.name,
        LockPackage.version,
        LockPackage.build,
        LockPackage.channel,
        LockPackage.license,
        LockPackage.size,
    ).where(LockPackage.lock_id == lock_of(build_id, wanted.platform))
    if wanted.search and wanted.exact:
        query = query.where(LockPackage.name == wanted.search)
    elif wanted.search:
        query = query.where(LockPackage.name.icontains(wanted.search, autoescape=True))
    if wanted.build:
        query = query.where(LockPackage.build.contains(wanted.build, autoescape=True))
    order = {"channel": LockPackage.channel, "name": LockPackage.name}
    return read(session, query, paging=paging, order=order, default=("channel", "name"), last=LockPackage.id)
