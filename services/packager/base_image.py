"""The base image out of a directory into storage and its table, so that all packagers stand on the same one."""

from pathlib import Path

from condarium import log
from condarium.conda.base_image import load_base
from condarium.database import Database, base_images
from condarium.domain.image import platform_of
from condarium.storage import Storage, blob_key

logger = log.get(__name__)


def store_base(database: Database, storage: Storage, directory: Path, *, actor: str = "admin") -> str:
    """Lets new images of its platform stand on the base in `directory` (an OCI layout); returns that platform.

    Harmless when it is so already. Raises ConfigError where there is no base in it, WorldFault, Unavailable.
    """
    found = load_base(directory)
    platform = platform_of(found.image.architecture)
    with database.transaction() as session:
        current = base_images.default(session, platform)
    if current is not None and current.identity == found.image.identity:
        return platform
    for digest, path in found.blobs.items():
        storage.put(blob_key(digest), path)
    with database.transaction() as session:
        base_images.set_default(session, found.image, platform=platform, actor=actor)
    logger.info("the base image is stored", platform=platform, layers=len(found.image.layers))
    return platform
