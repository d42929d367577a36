"""Hints of the kernel that something moved in a directory; and the judgement where it gives none."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from watchfiles._rust_notify import RustNotify

from condarium import log
from services.watcher import sources

#: file systems that other machines write to, and those that tell inotify nothing
BLIND = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "gpfs", "afs", "glusterfs", "vboxsf"}
)
BLIND_PREFIXES = ("fuse",)
#: what editors and tools leave beside a file
NOISE = ("~", ".swp", ".swx", ".swo", ".tmp", ".lock", ".pyc")
STEP_MS = 50

logger = log.get(__name__)


class Listener:
    """Listens in directories and all below them. Every method blocks: call them in a real thread."""

    def __init__(self, mode: str) -> None:
        """`mode` is auto, always (poll) or never (poll, unless the kernel refuses)."""
        self._mode = mode
        self._notify: RustNotify | None = None
        self._polling = False
        self._warned: set[str] = set()

    def open(self, directories: Iterable[Path]) -> None:
        """Listens there from now on, instead of where it did before."""
        self.close()
        seen: list[Path] = []
        blind: list[Path] = []
        for directory in sorted(set(directories)):
            (blind if self._is_blind(directory) else seen).append(directory)
        self._polling = bool(blind)
        if blind:
            self._warn("network file systems tell of no changes by others: they are read through often", blind)
        if not seen:
            return
        try:
            self._notify = RustNotify([str(path) for path in seen], False, False, 0, True, True)
        except (OSError, RuntimeError) as error:  # out of watches or instances; a directory that has just vanished
            self._polling = True
            self._warn(f"the kernel does not watch ({error}): directories are read through often", seen)

    @property
    def polling(self) -> bool:
        """True when the kernel does not tell everything, so that the directories are to be walked through often."""
        return self._polling

    @property
    def deaf(self) -> bool:
        """True when there is nothing to wait for."""
        return self._notify is None

    def wait(self, seconds: float, stopped: threading.Event) -> bool:
        """True at a hint; False after `seconds` (a little more), or when `stopped` is set."""
        if self._notify is None:
            return False
        found: Any = self._notify.watch(STEP_MS * 2, STEP_MS, max(STEP_MS, int(seconds * 1000)), stopped)
        return isinstance(found, set) and not all(_is_noise(path) for _, path in found)

    def close(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    def _is_blind(self, directory: Path) -> bool:
        if self._mode != "auto":
            return self._mode == "always"
        kind = file_system(directory)
        return kind in BLIND or kind.startswith(BLIND_PREFIXES)

    def _warn(self, message: str, directories: list[Path]) -> None:
        if message not in self._warned:
            self._warned.add(message)
            logger.warning(message, directories=[str(path) for path in directories])


def file_system(directory: Path) -> str:
    """The type of the file system that `directory` lies on, such as ext4; empty when that is unknown."""
    try:
        real = Path(os.path.realpath(directory))
        listed = list(sources.mounts(Path("/proc/self/mountinfo").read_text()))
    except OSError:
        return ""
    holding = [(len(point.parts), number, kind) for number, (point, kind) in enumerate(listed) if _holds(point, real)]
    return max(holding)[2] if holding else ""


def _holds(point: Path, path: Path) -> bool:
    return path == point or point in path.parents


def _is_noise(path: str) -> bool:
    return path.endswith(NOISE) or "/.git/" in path
