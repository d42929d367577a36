"""A tarball or an installer as one object of S3, for those who want its own address: made when somebody asks.

Elsewhere they are streamed out of their members, and nothing is copied. The object is a cache: it goes like everything
that no row names, and comes back when it is asked for.
"""

from typing import Any

import anyio
from anyio import to_thread
from sqlalchemy.orm import Session

from condarium.database import archives
from condarium.database.garbage import marks
from condarium.domain.archive import MemberList, joined_prefix
from condarium.domain.artifact import ArtifactType
from condarium.errors import NotFound
from condarium.storage import Storage, blob_key
from services.api import downloads
from services.api.endpoint import Call

_limiter: anyio.CapacityLimiter | None = None


def _one_at_a_time() -> anyio.CapacityLimiter:
    # Made in the running loop, once for the process.
    global _limiter
    if _limiter is None:
        _limiter = anyio.CapacityLimiter(1)
    return _limiter


async def joined(call: Call[Any, Any], kind: ArtifactType, lock_hash: str) -> str | None:
    """The key of the object, None where storage has no addresses of its own. Raises NotFound, WorldFault."""
    storage = call.gateway.storage
    codec = downloads.CODECS[kind]
    found = await call.within(lambda session: archives.find(session, lock_hash, codec))
    if found is None:
        raise NotFound(f"the {kind} is not there any more; ask again")
    members = MemberList.of(found.parts)
    key = f"{joined_prefix(lock_hash)}{members.identity[:16]}.{downloads.SUFFIXES[kind]}"
    if storage.url(key, expires_seconds=1) is None:
        return None
    # Who asks for the same waits without a thread, and finds it made.
    await to_thread.run_sync(_make, storage, key, members, limiter=_one_at_a_time())
    await call.within(lambda session: _use(session, storage, key))
    return key


def _use(session: Session, storage: Storage, key: str) -> None:
    """The grace of a sweep begins anew: the address is good for a minute. Raises WorldFault while it is deleted."""
    if marks.hold(session, [key]):
        marks.check(session, lambda key: storage.stat(key) is not None)


def _make(storage: Storage, key: str, members: MemberList) -> None:
    found = storage.stat(key)
    if found is None or found.size != members.size:
        storage.join(key, [blob_key(member.digest) for member in members.members])
