"""Which processes of this host use a directory, out of /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class User:
    """`how` is what of the directory it holds."""

    pid: int
    name: str
    how: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid}: {self.how})"


def users_of(directory: Path) -> list[User]:
    """Processes that run out of it, have it as their working directory, have a file of it open or mapped, or have its
    path in their environment, as an activated shell has. What may not be looked at, is not seen."""
    own = os.getpid()
    found = []
    for process in _PROC.iterdir():
        if process.name.isdecimal() and int(process.name) != own:
            how = _how(process, directory)
            if how:
                found.append(User(int(process.name), _name(process), how))
    return sorted(found, key=lambda user: user.pid)


def _how(process: Path, directory: Path) -> str:
    inside = os.fsencode(directory)
    for link in ("exe", "cwd"):
        if _is_inside(_target(process / link), inside):
            return link
    try:
        descriptors = os.listdir(process / "fd")
    except OSError:
        descriptors = []
    if any(_is_inside(_target(process / "fd" / each), inside) for each in descriptors):
        return "an open file"
    if _holds(process / "maps", inside + b"/"):
        return "a mapped file"
    # As a whole value or its beginning: another prefix may have a name that only begins alike.
    if _holds(process / "environ", inside + b"/") or _holds(process / "environ", inside + b"\0"):
        return "activated"
    return ""


def _is_inside(target: bytes, directory: bytes) -> bool:
    return target == directory or target.startswith(directory + b"/")


def _target(link: Path) -> bytes:
    try:
        return os.fsencode(os.readlink(link))
    except OSError:
        return b""


def _holds(file: Path, text: bytes) -> bool:
    try:
        return text in file.read_bytes()
    except OSError:
        return False


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "?"
