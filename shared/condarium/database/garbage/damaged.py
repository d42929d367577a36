"""Bytes that are not what their digest says, or away: who named them forgets them."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database.garbage import blobs

_COPIES = text(
    "delete from package_copies where state = 'READY' "
    "and exists (select from jsonb_each(parts) part where part.value->>0 = :digest)"
)
_BASES = text(
    "select distinct coalesce(name, digest) from base_images "
    "where layers @> jsonb_build_array(jsonb_build_object('digest', cast(:digest as text))) order by 1"
)


def bases(session: Session, digest: str) -> list[str]:
    """The base images that have this layer, by name or digest: nobody here can make it again."""
    return list(session.execute(_BASES, {"digest": digest}).scalars())


def forget(session: Session, digest: str) -> list[str]:
    """Every row that says that the bytes are there goes, so that they are made again when they are wanted. Returns the
    hashes of the locks whose images and archives went with it."""
    locks = blobs.forget_missing(session, digest)
    session.execute(_COPIES, {"digest": digest})
    found = session.execute(text("select sha256 from locks where id = any(:locks) order by sha256"), {"locks": locks})
    return list(found.scalars())
