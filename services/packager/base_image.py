"""The base image that this packager is started with, so that all packagers stand on the same one."""

from pathlib import Path

from condarium.database import Database
from condarium.storage import Storage
from condarium.work.base_images import store_directory


def store_base(database: Database, storage: Storage, directory: Path, *, actor: str = "admin") -> str:
    """Lets new images of its platform stand on the base in `directory` (an OCI layout); returns that platform.

    Harmless when it is so already. Raises ConfigError where there is no base in it, WorldFault, Unavailable.
    """
    return store_directory(database, storage, directory, actor=actor)
