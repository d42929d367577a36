"""rattler's own lockfile, which pixi calls pixi.lock: written by py-rattler, wheels' hashes added to its text."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rattler import LockChannel, LockFile, LockPlatform

from condarium.conda.link import to_rattler
from condarium.conda.lockfiles.header import by_platform, channels_of, header
from condarium.domain.lock import Lock

ENVIRONMENT = "default"
_WHEEL = re.compile(r"^- pypi: (.+)\n(?:  (?:name|version): .*\n)+", re.MULTILINE)


def rattler_lock(locks: Sequence[Lock], *, mirrored: Mapping[str, str] | None = None) -> str:
    """pixi.lock with the one environment `default`. Raises ValueError for no lock, or two of one platform."""
    locks = by_platform(locks)
    platforms = {
        lock.platform: LockPlatform(lock.platform, virtual_packages=sorted(lock.virtual_packages)) for lock in locks
    }
    file = LockFile(list(platforms.values()))
    file.set_channels(ENVIRONMENT, [LockChannel(url) for url in channels_of(locks)])
    with tempfile.TemporaryDirectory() as directory:
        for lock in locks:
            platform = platforms[lock.platform]
            for record in to_rattler(lock.conda, Path(directory, "records")):
                file.add_conda_package(ENVIRONMENT, platform, record)
            for wheel in sorted(lock.pypi, key=lambda wheel: wheel.name):
                file.add_pypi_package(ENVIRONMENT, platform, wheel.name, wheel.version, wheel.url)
        path = Path(directory, "pixi.lock")
        file.to_path(path)
        text = path.read_text()
    use = "save as pixi.lock beside a manifest, or give it to rattler"
    return header(locks, mirrored, use, origin=True) + _with_hashes(text, locks)


def _with_hashes(text: str, locks: Sequence[Lock]) -> str:
    """py-rattler takes a wheel without its hash, but reads one."""
    hashes = {wheel.url: wheel.sha256 for lock in locks for wheel in lock.pypi}
    added: set[str] = set()

    def add(match: re.Match[str]) -> str:
        url = match[1].strip("'\"")
        added.add(url)
        # Quoted, as a hash of digits alone would be a number.
        return f"{match[0]}  sha256: '{hashes[url]}'\n"

    text = _WHEEL.sub(add, text)
    if added != hashes.keys():
        raise RuntimeError(f"py-rattler wrote wheels in a way that is not known here: {sorted(hashes.keys() - added)}")
    return text
