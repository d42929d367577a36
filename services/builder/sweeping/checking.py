"""A prefix against its lock: every file as its package says, every package of the lock, and no other.

In: {"do": "verify", "prefix", "lock", "cache", "drop"}. Out: {"problems": [{"path", "package", "what"}], "count",
"dropped": entries of the package cache that were damaged too}. A file of a prefix is a hard link to the cache: what is
damaged in one is damaged in both, and in every other prefix; so `drop` takes bad entries out of the cache.
"""

import base64
import csv
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from condarium.conda.disk import PACKAGES, WHEELS, drop_packages
from condarium.conda.package_cache import entry_name
from condarium.conda.pieces.prefix_record import history, record_filename, state
from condarium.conda.uv import binary
from condarium.domain.lock import Lock, Record

#: of the problems of a prefix that are named
SHOWN = 50
_UV_SECONDS = 120

Problem = dict[str, str]


def check(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question."""
    prefix, lock = Path(question["prefix"]), Lock.from_json(question["lock"])
    cache = Path(question["cache"])
    problems = list(_problems(prefix, lock))
    damaged = {each["package"] for each in problems}
    dropped: list[str] = []
    if question["drop"] and problems:
        dropped = [
            entry_name(record)
            for record in lock.conda
            if record.name in damaged and not _entry_is_sound(cache / PACKAGES / entry_name(record))
        ]
        drop_packages(cache / PACKAGES, dropped)
        _forget_wheels(cache, sorted(damaged & {wheel.name for wheel in lock.pypi}))
    return {"problems": problems[:SHOWN], "count": len(problems), "dropped": dropped}


def _problems(prefix: Path, lock: Lock) -> Iterator[Problem]:
    if not prefix.is_dir():
        yield _problem("", "", "the prefix is missing")
        return
    wanted = {Path(record_filename(record)).name: record for record in lock.conda}
    for name, record in wanted.items():
        yield from _of_record(prefix, record, prefix / "conda-meta" / name)
    for file in sorted((prefix / "conda-meta").glob("*.json")):
        if file.name not in wanted:
            yield _problem(f"conda-meta/{file.name}", "", "no package of the lock")
    for name, content in (("history", history(lock)), ("state", state(lock.variables) if lock.variables else None)):
        file = prefix / "conda-meta" / name
        if content is not None and (not file.is_file() or file.read_bytes() != content):
            yield _problem(f"conda-meta/{name}", "", "is not as the lock says")
    for wheel in lock.pypi:
        yield from _of_wheel(prefix, lock.site_packages or "", wheel.name)


def _of_record(prefix: Path, record: Record, file: Path) -> Iterator[Problem]:
    shown = str(file.relative_to(prefix))
    try:
        content = json.loads(file.read_bytes())
        paths = content["paths_data"]["paths"]
        stated = content.get("sha256")
    except FileNotFoundError:
        yield _problem(shown, record.name, "is missing")
        return
    except (ValueError, KeyError, TypeError):
        yield _problem(shown, record.name, "cannot be read as JSON")
        return
    if stated != record.sha256:
        yield _problem(shown, record.name, f"is of an archive {stated}, the lock has {record.sha256}")
    for each in paths:
        what = _judge(prefix / each["_path"], each)
        if what:
            yield _problem(each["_path"], record.name, what)


def _judge(path: Path, entry: dict[str, Any]) -> str:
    """What is wrong with a path, empty when nothing is."""
    kind = entry.get("path_type")
    if not os.path.lexists(path):
        # what is compiled at the first import may be missing
        return "" if str(path).endswith(".pyc") else "is missing"
    if kind == "softlink":
        return "" if path.is_symlink() else "is no symbolic link"
    if kind == "directory":
        return "" if path.is_dir() else "is no directory"
    if not path.is_file():
        return "is no file"
    patched, stated = entry.get("sha256_in_prefix"), entry.get("sha256")
    size = entry.get("size_in_bytes")
    if size is not None and entry.get("prefix_placeholder") is None and path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, the package says {size}"
    expected = patched or (stated if entry.get("prefix_placeholder") is None else None)
    return "" if expected is None or _sha256(path) == expected else "has other bytes than its package"


def _of_wheel(prefix: Path, site_packages: str, name: str) -> Iterator[Problem]:
    folder = prefix / site_packages
    wanted = name.lower().replace("-", "_").replace(".", "_")
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        found = record.parent.name.partition("-")[0].lower().replace("-", "_").replace(".", "_")
        if found == wanted:
            yield from _of_wheel_record(folder, record, name)
            return
    yield _problem(f"{site_packages}/{wanted}*.dist-info/RECORD", name, "is missing")


def _of_wheel_record(folder: Path, record: Path, name: str) -> Iterator[Problem]:
    for row in csv.reader(record.read_text().splitlines()):
        path, stated = folder / row[0], row[1] if len(row) > 1 else ""
        if not stated.startswith("sha256="):
            continue
        if not path.is_file():
            yield _problem(row[0], name, "is missing")
        elif base64.urlsafe_b64encode(bytes.fromhex(_sha256(path))).decode().rstrip("=") != stated[7:]:
            yield _problem(row[0], name, "has other bytes than its wheel")


def _entry_is_sound(entry: Path) -> bool:
    """Whether an extracted package in the cache is as its own paths.json says. One without it is taken anew."""
    try:
        paths = json.loads((entry / "info" / "paths.json").read_bytes())["paths"]
    except (OSError, ValueError, KeyError):
        return False
    for each in paths:
        path = entry / each["_path"]
        if each.get("path_type") == "hardlink" and (not path.is_file() or _sha256(path) != each.get("sha256")):
            return False
    return True


def _forget_wheels(cache: Path, names: list[str]) -> None:
    """uv unpacks them anew; it waits for its own running processes."""
    for directory in (cache / WHEELS).glob("*") if names else ():
        command = [binary(), "cache", "clean", "--quiet", "--cache-dir", os.fspath(directory), *names]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_UV_SECONDS, check=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(path: str, package: str, what: str) -> Problem:
    return {"path": path, "package": package, "what": what}
