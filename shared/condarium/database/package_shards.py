"""Which shards of sharded repodata were taken in."""

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from condarium.database.tables import PackageShard

_BATCH = 5_000


def noted(session: Session, sync_id: int) -> dict[str, bytes]:
    """By name: the shard that was taken in."""
    query = select(PackageShard.name, PackageShard.digest).where(PackageShard.sync_id == sync_id)
    return {row.name: bytes(row.digest) for row in session.execute(query)}


def note(session: Session, sync_id: int, digests: Mapping[str, bytes]) -> None:
    """Makes `digests` all that is noted, writing what differs."""
    known = noted(session, sync_id)
    gone = list(known.keys() - digests.keys())
    values = [
        {"sync_id": sync_id, "name": name, "digest": digest}
        for name, digest in sorted(digests.items())
        if known.get(name) != digest
    ]
    if gone:
        session.execute(
            delete(PackageShard)
            .where(PackageShard.sync_id == sync_id, PackageShard.name.in_(gone))
            .execution_options(synchronize_session=False)
        )
    for start in range(0, len(values), _BATCH):
        made = upsert(PackageShard).values(values[start : start + _BATCH])
        session.execute(
            made.on_conflict_do_update(index_elements=["sync_id", "name"], set_={"digest": made.excluded.digest})
        )
