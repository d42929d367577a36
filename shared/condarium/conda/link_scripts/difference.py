"""What lies otherwise in one prefix than in another, as paths of a layer."""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Literal, Spool

WHITEOUT = ".wh."
#: larger files are not searched for the prefix
_TEXT_BYTES = 16 << 20


def difference(before: Path, after: Path, spool: Spool, *, prefix: str) -> list[Laid]:
    """What `after` has added, changed and (as whiteouts) removed; where a text names `after`, it names `prefix`.

    What installers write about themselves is left out. Contents are readable while `spool` is open.
    """
    old, new = dict(_paths(before)), dict(_paths(after))
    laid = []
    for path in sorted(new):
        if path not in old or not _same(old[path], new[path]):
            laid.append(_laid(path, new[path], after, spool, prefix))
    for path in sorted(old.keys() - new.keys()):
        parent, name = os.path.split(path)
        # Of a directory that is gone, or is none any more, that is enough.
        if not parent or (parent in new and stat.S_ISDIR(new[parent].lstat().st_mode)):
            laid.append(Laid(os.path.join(parent, WHITEOUT + name), Literal(b"")))
    return laid


def _paths(prefix: Path) -> Iterator[tuple[str, Path]]:
    for folder, directories, files in os.walk(prefix):
        for name in (*directories, *files):
            path = Path(folder, name)
            relative = str(path.relative_to(prefix))
            if relative.split("/", 1)[0] not in ("conda-meta", "CACHEDIR.TAG"):
                yield relative, path


def _same(one: Path, other: Path) -> bool:
    first, second = one.lstat(), other.lstat()
    if stat.S_IFMT(first.st_mode) != stat.S_IFMT(second.st_mode):
        return False
    if stat.S_ISLNK(first.st_mode):
        return os.readlink(one) == os.readlink(other)
    if not stat.S_ISREG(first.st_mode):
        return True
    if first.st_size != second.st_size or (first.st_mode ^ second.st_mode) & 0o111:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(1 << 20):
            if chunk != right.read(1 << 20):
                return False
    return True


def _laid(path: str, found: Path, after: Path, spool: Spool, prefix: str) -> Laid:
    mode = found.lstat().st_mode
    if stat.S_ISLNK(mode):
        return Laid(path, target=os.readlink(found).replace(str(after), prefix))
    if not stat.S_ISREG(mode):
        return Laid(path)
    executable = bool(mode & 0o111)
    if found.stat().st_size <= _TEXT_BYTES:
        data = found.read_bytes()
        if b"\0" not in data:
            data = data.replace(str(after).encode(), prefix.encode())
        return Laid(path, spool.add(io.BytesIO(data), path), executable)
    with found.open("rb") as source:
        return Laid(path, spool.add(source, path), executable)
