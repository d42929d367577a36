"""Locked wheels into a prefix that is being made, by uv, with hard links to uv's cache.

uv needs an interpreter to ask for paths. It is never the one of the prefix: that would run whatever strangers put
into its site-packages (.pth files). It is the lock's own python with nothing but its dependencies, linked once.
"""

import asyncio
import base64
import csv
import hashlib
import io
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from condarium.conda.disk import exclusive, is_disk_fault
from condarium.conda.pieces.shebang import wheel_shebang
from condarium.conda.uv import Uv
from condarium.domain.canonical import canonical_hash
from condarium.domain.credentials import redact
from condarium.domain.lock import Lock, Record, Wheel
from condarium.errors import InputFault, WorldFault

LinkRecords = Callable[[Sequence[Record], Path, Path], Awaitable[None]]
"""Links records into a new directory (second), which is going to be renamed (third)."""


def python_closure(lock: Lock) -> tuple[Record, ...]:
    """The lock's python and what it depends on, by name."""
    by_name = {record.name: record for record in lock.conda}
    found: dict[str, Record] = {}
    waiting = ["python"]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found[name] = by_name[name]
            waiting += [dependency.split()[0] for dependency in by_name[name].depends if dependency.strip()]
    return tuple(found[name] for name in sorted(found))


async def interpreter(lock: Lock, directory: Path, link_records: LinkRecords) -> Path:
    """A prefix with the lock's python alone, in `directory`; made once for each set of its packages."""
    closure = python_closure(lock)
    prefix = directory / canonical_hash([record.sha256 for record in closure])[:16]
    if prefix.is_dir():
        os.utime(prefix)
        return prefix
    staging = directory / f".{prefix.name}-{os.getpid()}"
    with exclusive(directory / f".{prefix.name}.lock"):
        if not prefix.is_dir():
            shutil.rmtree(staging, ignore_errors=True)
            await link_records(closure, staging, prefix)
            os.rename(staging, prefix)
    return prefix


async def link_wheels(
    lock: Lock, prefix: Path, final: Path, python: Path, uv: Uv, directory: Path, *, seconds: float
) -> None:
    """Install `lock.pypi` into `prefix`, which is going to be renamed to `final`.

    Raises:
        WorldFault: an index cannot be read, or has other bytes than the lock states.
        InputFault: link-failed, in uv's words.
    """
    pylock = directory / "pylock.toml"
    pylock.write_text(_pylock(lock))
    arguments = [
        *("pip", "install", "--requirements", str(pylock), "--no-deps", "--require-hashes", "--quiet", "--no-build"),
        *("--preview-features", "pylock", "--python", str(python / "bin" / "python"), "--prefix", str(prefix)),
    ]
    # Asked without a network first: uv would ask the index anew about every wheel that it has already.
    finished = await uv.run([*arguments, "--offline"], directory=directory, seconds=seconds)
    if finished.status != 0:
        finished = await uv.run(arguments, directory=directory, seconds=seconds)
    if finished.status != 0:
        raise _fault(finished.words)
    (prefix / ".lock").unlink(missing_ok=True)
    site_packages = prefix / (lock.site_packages or "")
    await asyncio.to_thread(_settle, site_packages, lock.pypi, python, final)


def _fault(words: str) -> InputFault | WorldFault:
    words = redact(words)
    if is_disk_fault(words) or re.search(
        r"hash mismatch|failed to (fetch|download)|error sending|timed out", words, re.IGNORECASE
    ):
        return WorldFault(f"The wheels of the lock cannot be fetched: {words}")
    return InputFault(f"The wheels of the lock cannot be installed: {words}", reason="link-failed")


def _pylock(lock: Lock) -> str:
    """The lock's wheels as a pylock.toml (PEP 751). Strings in JSON are strings in TOML too."""
    lines = ['lock-version = "1.0"', 'created-by = "condarium"']
    for wheel in lock.pypi:
        place = (
            f"path = {_quoted(urlsplit(wheel.url).path)}"
            if wheel.url.startswith("file:")
            else f"url = {_quoted(wheel.url)}"
        )
        size = f", size = {wheel.size}" if wheel.size else ""
        lines += [
            "[[packages]]",
            f"name = {_quoted(wheel.name)}",
            f"version = {_quoted(wheel.version)}",
            f"wheels = [{{ name = {_quoted(wheel.filename)}, {place}{size}, "
            f"hashes = {{ sha256 = {_quoted(wheel.sha256)} }} }}]",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _settle(site_packages: Path, wheels: Sequence[Wheel], python: Path, final: Path) -> None:
    """Point the wheels' commands to the final prefix, and make what is hard-linked read-only."""
    interim, lasting = f"{wheel_shebang(str(python))}\n".encode(), f"{wheel_shebang(str(final))}\n".encode()
    for info in site_packages.glob("*.dist-info"):
        installer = info / "INSTALLER"
        if installer.is_file() and installer.read_bytes().strip() == b"uv":
            _settle_one(info, site_packages, interim, lasting)


def _settle_one(info: Path, site_packages: Path, interim: bytes, lasting: bytes) -> None:
    record = info / "RECORD"
    rows = list(csv.reader(io.StringIO(record.read_text())))
    changed = False
    for row in rows:
        path = Path(os.path.normpath(site_packages / row[0]))
        if not path.is_file() or path.is_symlink():
            continue
        if "bin" in path.parts and _starts_with(path, interim):
            content = lasting + path.read_bytes()[len(interim) :]
            mode = path.stat().st_mode & 0o777
            # A file of its own: this one may be hard-linked to uv's cache.
            path.unlink()
            path.write_bytes(content)
            path.chmod(mode)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            row[1:] = [f"sha256={digest}", str(len(content))]
            changed = True
        else:
            path.chmod(path.stat().st_mode & 0o555)
    if changed:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        record.unlink()
        record.write_text(text.getvalue())


def _starts_with(path: Path, head: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(head)) == head
