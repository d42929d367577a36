"""Base images into storage and their table: pulled from another registry, out of a file, or out of a directory.

They are stored once for the whole installation, and images that stand on one keep it, whatever is chosen later.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from condarium import log
from condarium.conda.base_image import StoredBase, import_base, load_base
from condarium.database import Database, base_images
from condarium.database.base_images import Stored
from condarium.database.garbage import marks
from condarium.domain.image import architecture, platform_of
from condarium.domain.image.plan import LARGEST_BUDGET
from condarium.domain.settings.keys import KEYS
from condarium.domain.settings.values import check_value
from condarium.errors import ConfigError, InputFault, InvalidInput
from condarium.oci.connection import Connection
from condarium.oci.copying import copy_image
from condarium.oci.reference import Reference
from condarium.storage import Storage, blob_key

logger = log.get(__name__)


@dataclass(frozen=True)
class Choice:
    """What a new base is for: `name` is what the setting image_base calls it, `make_default` lets all images of its
    platform stand on it that choose no other; what was `chosen` by an administrator stays the default."""

    name: str | None
    make_default: bool
    actor: str
    chosen: bool = True


def check_name(name: str | None) -> str | None:
    """As the setting image_base allows it. Raises InvalidInput."""
    if name is None:
        return None
    return str(check_value("image_base", KEYS["image_base"], name, check_match_spec=lambda _: None))


def pull(
    database: Database,
    storage: Storage,
    connection: Connection,
    reference: Reference,
    *,
    platforms: Sequence[str],
    choice: Choice,
) -> list[Stored]:
    """The image of another registry for each conda platform; for none: for the only one that it is for.

    All of them or none. Raises InvalidInput, InputFault, WorldFault, Unavailable.
    """
    found: list[tuple[StoredBase, str]] = []
    with tempfile.TemporaryDirectory(prefix="condarium-base-") as name:
        for number, platform in enumerate(platforms or [None]):
            pulled, taken = Path(name) / f"pulled-{number}", Path(name) / f"taken-{number}"
            copied = copy_image(connection, reference, platform, pulled)
            base = import_base(pulled, taken, copied.architecture)
            image = replace(base.image, digest=copied.digest, source=reference.name)
            found.append((StoredBase(image, base.blobs), _platform(image.architecture)))
        return [_store(database, storage, base, platform, choice) for base, platform in found]


def import_saved(database: Database, storage: Storage, source: Path, *, platform: str | None, choice: Choice) -> Stored:
    """The image in a tar of `docker save`, or an OCI layout as a tar or a directory; for a conda platform, None: the
    only one there is.

    Raises InvalidInput for anything that is not one whole image, WorldFault, Unavailable.
    """
    with tempfile.TemporaryDirectory(prefix="condarium-base-") as name:
        base = import_base(source, Path(name) / "taken", architecture(platform) if platform else None)
        if platform and base.image.architecture != architecture(platform):
            raise InvalidInput(f"the saved image is for {base.image.architecture}, wanted is {platform}")
        return _store(database, storage, base, _platform(base.image.architecture), choice)


def store_directory(database: Database, storage: Storage, directory: Path, *, actor: str = "admin") -> str:
    """Lets new images of its platform stand on the base in `directory` (an OCI layout), unless an administrator has
    chosen one; returns that platform.

    Harmless when it is so already; blobs that have gone from storage are put again.

    Raises ConfigError where there is no base in it, WorldFault, Unavailable.
    """
    found = load_base(directory)
    platform = platform_of(found.image.architecture)
    with database.transaction() as session:
        current = base_images.default(session, platform)
    is_whole = all(storage.stat(blob_key(digest)) is not None for digest in found.blobs)
    if current is None or current.identity != found.image.identity or not is_whole:
        _store(database, storage, found, platform, Choice(None, make_default=True, actor=actor, chosen=False))
    return platform


def _store(database: Database, storage: Storage, base: StoredBase, platform: str, choice: Choice) -> Stored:
    if len(base.image.layers) > LARGEST_BUDGET - 2:
        raise InvalidInput(f"a base image of {len(base.image.layers)} layers leaves no room for an environment's")
    for digest, path in base.blobs.items():
        storage.put(blob_key(digest), path)
    with database.transaction() as session:
        stored = base_images.store(
            session,
            base.image,
            platform=platform,
            actor=choice.actor,
            name=choice.name,
            make_default=choice.make_default,
            chosen=choice.chosen,
        )
        marks.check(session, lambda key: storage.stat(key) is not None)
    logger.info("the base image is stored", platform=platform, layers=len(base.image.layers))
    return stored


def _platform(architecture: str) -> str:
    try:
        return platform_of(architecture)
    except ConfigError as error:
        raise InputFault(str(error), reason="no-image-for-platform") from None
