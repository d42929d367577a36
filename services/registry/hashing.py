"""The sha512 digests of blobs, found out when somebody asks by one."""

import hashlib
import time

import anyio
from anyio import to_thread
from sqlalchemy.orm import Session

from condarium.database import Database, blob_digests, environments, images
from condarium.errors import NotFound, Unavailable
from condarium.storage import Storage, blob_key
from services.registry.names import Repository

#: how long a request hashes before it asks its client to come again
PATIENCE_SECONDS = 10.0
_CHUNK_BYTES = 1024 * 1024


def sha256_of(session: Session, repository: Repository, sha512: str) -> str | None:
    """The sha256 of the repository's manifest or blob with that sha512 in hex; None where none is known."""
    environment = environments.find(session, repository.namespace, repository.environment)
    if environment is None:
        return None
    found = blob_digests.manifest_of(session, environment.id, sha512)
    if found is not None:
        return found
    found = blob_digests.blob_of(session, sha512)
    return found if found and images.blob_of(session, environment.id, found) else None


class Hashing:
    """Finds out sha512 digests, of one blob at a time; what was found out stays known."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage
        self._one = anyio.CapacityLimiter(1)

    async def catch_up(self, repository: Repository) -> None:
        """Hashes the repository's blobs that nobody has hashed. Raises Unavailable, WorldFault."""
        await to_thread.run_sync(self._catch_up, repository, limiter=self._one)

    def _catch_up(self, repository: Repository) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        with self._database.transaction() as session:
            found = environments.find(session, repository.namespace, repository.environment)
            left = blob_digests.unknown(session, found.id) if found is not None else []
        for sha256 in left:
            if time.monotonic() > until:
                raise Unavailable(f"the sha512 digests of {repository.text} are being computed; try again in a moment")
            try:
                sha512 = self._sha512(sha256)
            except NotFound:
                continue  # lost or swept: nobody can ask for it
            with self._database.transaction() as session:
                blob_digests.add(session, sha256, sha512)

    def _sha512(self, sha256: str) -> str:
        hashing = hashlib.sha512()
        with self._storage.open(blob_key(sha256)) as blob:
            while chunk := blob.read(_CHUNK_BYTES):
                hashing.update(chunk)
        return hashing.hexdigest()
