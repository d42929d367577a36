"""The repodata of environments' `oci://` channels, rendered out of their locks when somebody asks."""

import hashlib

import zstandard
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import builds
from condarium.database.tables import Build, ChannelIndex
from condarium.domain.oci_channel import (
    REPODATA_GZIP_TYPE,
    REPODATA_TYPE,
    REPODATA_ZSTD_TYPE,
    Encoded,
    gzipped,
    repodata,
)

_ZSTD_LEVEL = 9


def of_build(session: Session, build_id: int, subdir: str) -> list[Encoded]:
    """The index of that subdir in all encodings, made and kept where it is not there yet.

    A subdir of which the build has nothing gets an empty one: clients ask for `noarch` in any case.
    """
    known = _kept(session, build_id, subdir)
    if known:
        return known
    locks = builds.locks(session, build_id)
    every = [record for platform in sorted(locks) for record in locks[platform].conda]
    plain = repodata(subdir, every)
    bodies = {
        REPODATA_TYPE: plain,
        REPODATA_GZIP_TYPE: gzipped(plain),
        REPODATA_ZSTD_TYPE: zstandard.compress(plain, _ZSTD_LEVEL),
    }
    values = [
        {
            "build_id": build_id,
            "subdir": subdir,
            "media_type": media_type,
            "digest": hashlib.sha256(body).hexdigest(),
            "body": body,
        }
        for media_type, body in bodies.items()
    ]
    session.execute(insert(ChannelIndex).values(values).on_conflict_do_nothing())
    # what another one has kept meanwhile, perhaps by another release of a compressor
    return _kept(session, build_id, subdir)


def by_digest(session: Session, environment_id: int, subdir: str, digest: str) -> Encoded | None:
    """An index that a build of the environment has had."""
    row = session.execute(
        select(ChannelIndex.media_type, ChannelIndex.digest, ChannelIndex.body)
        .join(Build, Build.id == ChannelIndex.build_id)
        .where(
            ChannelIndex.digest == digest,
            ChannelIndex.subdir == subdir,
            Build.environment_id == environment_id,
            Build.deleted_on.is_(None),
        )
        .limit(1)
    ).first()
    return Encoded(*row) if row else None


def _kept(session: Session, build_id: int, subdir: str) -> list[Encoded]:
    rows = session.execute(
        select(ChannelIndex.media_type, ChannelIndex.digest, ChannelIndex.body)
        .where(ChannelIndex.build_id == build_id, ChannelIndex.subdir == subdir)
        .order_by(ChannelIndex.media_type)
    )
    return [Encoded(*row) for row in rows]
