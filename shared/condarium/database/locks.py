"""Locks, by their hash."""

from collections.abc import Mapping

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from condarium.database.tables import Build, LockPackage, LockPlatform, LockRow
from condarium.domain.lock import Lock

#: the channel under which wheels are listed
WHEELS = "pypi"


def store(session: Session, build: Build, found: Mapping[str, Lock], *, actor: str) -> bool:
    """Gives the build one lock per platform; a lock that is known is shared. What an earlier attempt found goes.

    Returns whether it is what an earlier attempt found.
    """
    rows = session.execute(select(LockPlatform.platform, LockPlatform.lock_id).where(LockPlatform.build_id == build.id))
    before = {row.platform: row.lock_id for row in rows}
    # In one order, or two builds that store the same locks would wait for each other.
    now = {platform: _ensure(session, lock, actor=actor) for platform, lock in sorted(found.items())}
    if before == now:
        return True
    session.query(LockPlatform).filter(LockPlatform.build_id == build.id).delete(synchronize_session=False)
    session.add_all(LockPlatform(build_id=build.id, platform=name, lock_id=lock_id) for name, lock_id in now.items())
    session.flush()
    return False


def _ensure(session: Session, lock: Lock, *, actor: str) -> int:
    known = session.execute(select(LockRow.id).where(LockRow.sha256 == lock.hash)).scalar_one_or_none()
    if known is not None:
        return known
    made = session.execute(
        upsert(LockRow)
        .values(sha256=lock.hash, platform=lock.platform, content=lock.to_json(), created_by=actor)
        .on_conflict_do_nothing(index_elements=["sha256"])
        .returning(LockRow.id)
    ).scalar_one_or_none()
    if made is None:
        # Another transaction stored the same lock, with its packages, between our look and our insert.
        return session.execute(select(LockRow.id).where(LockRow.sha256 == lock.hash)).scalar_one()
    _list_packages(session, made, lock)
    return made


def _list_packages(session: Session, lock_id: int, lock: Lock) -> None:
    rows = [
        {
            "lock_id": lock_id,
            "kind": "conda",
            "name": record.name,
            "version": record.version,
            "build": record.build,
            "channel": record.channel.removesuffix(f"/{record.subdir}"),
            "license": record.license,
            "size": record.size,
        }
        for record in lock.conda
    ]
    rows += [
        {
            "lock_id": lock_id,
            "kind": "pypi",
            "name": wheel.name,
            "version": wheel.version,
            "build": "",
            "channel": WHEELS,
            "license": None,
            "size": wheel.size,
        }
        for wheel in lock.pypi
    ]
    if rows:
        session.execute(insert(LockPackage), rows)


def find(session: Session, sha256: str) -> Lock | None:
    """The lock of that hash."""
    content = session.execute(select(LockRow.content).where(LockRow.sha256 == sha256)).scalar_one_or_none()
    return Lock.from_json(content) if content is not None else None
