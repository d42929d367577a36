"""The directory of prefixes: who it is, and how full its disk is."""

import shutil
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from condarium.errors import ConfigError, WorldFault

MARK = ".condarium-store"
#: how the sentence of a build begins that waits for room
FULL_DISK = "disk "


@dataclass(frozen=True)
class Store:
    """A directory of prefixes with an identity of its own; `id` is its row."""

    directory: Path
    uuid: uuid.UUID
    id: int = 0


def open_store(directory: Path) -> Store:
    """The store at `directory`, marked with a new UUID on first use.

    Raises ConfigError when the directory cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        mark = directory / MARK
        fresh = directory / f"{MARK}.{uuid.uuid4()}"
        if not mark.exists():
            fresh.write_text(f"{uuid.uuid4()}\n")
            try:
                # Two builders may start at once on a shared directory: a link fails where a rename would replace.
                mark.hardlink_to(fresh)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return Store(directory, uuid.UUID(mark.read_text().strip()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"CONDARIUM_STORE: {directory} cannot be used as a store: {error}") from None


def expect_mounted(store: Store) -> None:
    """Raises WorldFault when the directory is not that store now: an empty mount point looks as if all were gone."""
    mark = store.directory / MARK
    try:
        is_there = mark.read_text().strip() == str(store.uuid)
    except OSError:
        is_there = False
    if not is_there:
        raise WorldFault(f"{mark} is not that of the store {store.uuid}: is {store.directory} mounted?")


def disk_percent(directory: Path) -> float:
    """How full the file system of `directory` is for us, as `df` counts it, from 0 to 100."""
    usage = shutil.disk_usage(directory)
    return 100 * usage.used / (usage.used + usage.free)


def full_disk_sentence(percent: float, *, wanted: int = 0) -> str:
    """`wanted` are the bytes that must be free, where that is what is missing."""
    missing = f", less than {wanted:,} bytes free (setting storage_threshold)" if wanted else ""
    return f"{FULL_DISK}{percent:.0f} % on {socket.gethostname()}{missing}: waits until space is freed"


def has_free(directory: Path, wanted: int) -> bool:
    """Whether so many bytes are free for us on the file system of `directory`."""
    return wanted <= 0 or shutil.disk_usage(directory).free >= wanted
