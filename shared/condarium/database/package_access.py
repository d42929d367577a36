"""Who may use again what was fetched with a credential of somebody's own."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import PackageAccess


def closed(session: Session, scopes: Mapping[str, str]) -> set[str]:
    """Of packages by sha256, with the scope of who asks: those that they have to fetch before they may use them."""
    rows = session.execute(
        select(PackageAccess.sha256, PackageAccess.scope).where(PackageAccess.sha256.in_(scopes))
    ).all()
    known: dict[str, set[str]] = {}
    for sha256, scope in rows:
        known.setdefault(sha256, set()).add(scope)
    return {sha256 for sha256, may in known.items() if not may & {"", scopes[sha256]}}


def fetched(session: Session, scopes: Mapping[str, str]) -> None:
    """Notes that these packages were fetched by the scope given for each.

    Only what somebody fetched with a credential of their own needs rows; for the scope of everybody one is written
    where there are others.
    """
    private = {sha256: scope for sha256, scope in scopes.items() if scope}
    public = scopes.keys() - private.keys()
    known = set(
        session.execute(select(PackageAccess.sha256).where(PackageAccess.sha256.in_(public)).distinct()).scalars()
    )
    rows = [*private.items(), *((sha256, "") for sha256 in sorted(known))]
    if rows:
        values = [{"sha256": sha256, "scope": scope} for sha256, scope in sorted(rows)]
        session.execute(insert(PackageAccess).values(values).on_conflict_do_nothing())
