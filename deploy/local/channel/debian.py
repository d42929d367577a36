"""Asks dpkg which package owns a shared library, and what is in that package."""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from deploy.local.channel.command import run
from deploy.local.channel.problem import ChannelError

_LIBRARY = re.compile(r"^(?:/usr)?/lib(?:/[^/]+-linux-gnu)?/(lib[^/]+\.so[^/]*)$")


@dataclass(frozen=True)
class DebianPackage:
    name: str
    version: str  # Debian's own, epoch and revision included: what the fingerprint compares

    @property
    def upstream_version(self) -> str:
        """`1:1.2.13.dfsg-1+deb12u1` -> `1.2.13`; `14-20240412-0ubuntu1` -> `14.20240412`, as conda allows no dash"""
        plain = re.sub(r"^\d+:", "", self.version).rsplit("-", 1)[0]
        return re.split(r"[+~]|\.dfsg|\.ds", plain)[0].replace("-", ".")


def owner(path: Path) -> DebianPackage | None:
    """The Debian package that `path` belongs to; None when no package owns it.

    Raises: ChannelError on a system without dpkg.
    """
    for alias in _aliases(path):
        name = _search(alias)
        if name:
            return DebianPackage(name, installed_version(name) or "0")
    return None


def installed_version(name: str) -> str | None:
    """The installed version of a Debian package, or None."""
    try:
        return _dpkg("dpkg-query", "-W", "-f=${Version}", name).strip() or None
    except ChannelError:
        return None


def libraries(package: DebianPackage) -> list[Path]:
    """The shared libraries of a package that lie directly in a library directory, sorted by name."""
    listed = _dpkg("dpkg-query", "-L", package.name).splitlines()
    return sorted({Path(line) for line in listed if _LIBRARY.match(line)}, key=lambda path: path.name)


def copyright_text(package: DebianPackage) -> bytes:
    path = Path("/usr/share/doc", package.name.partition(":")[0], "copyright")
    # Slim container images leave the documentation out.
    return path.read_bytes() if path.is_file() else b""


def _aliases(path: Path) -> list[str]:
    # dpkg knows a file by the name it was packed with: /lib/... before the usrmerge, /usr/lib/... after it. And
    # the link (libz.so.1) and what it points to (libz.so.1.2.13) are both its files.
    names: list[str] = []
    for name in (str(path), os.path.realpath(path)):
        bare = name.removeprefix("/usr")
        names += [name, bare, f"/usr{bare}"]
    return list(dict.fromkeys(names))


@lru_cache(maxsize=1024)
def _search(path: str) -> str | None:
    try:
        found = _dpkg("dpkg", "-S", path)
    except ChannelError:
        _require_dpkg()
        return None
    for line in found.splitlines():
        if not line.startswith("diversion "):
            return line.rpartition(": ")[0].split(",")[0].strip() or None
    return None


def _require_dpkg() -> None:
    _dpkg("dpkg", "--version")


def _dpkg(*words: str) -> str:
    return run(words, wanted_for="finding the system libraries of this (Debian or Ubuntu) machine", package="dpkg")
