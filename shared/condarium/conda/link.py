"""Linking: a lock to a prefix on disk, staged elsewhere and renamed: it is there whole or not at all."""

import ctypes
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rattler import Channel, MatchSpec, RepoDataRecord, SparseRepoData, Subdir, install
from rattler.config import Config
from rattler.exceptions import InstallerError, LinkError

from condarium.conda import package_cache
from condarium.conda.channels import ChannelSettings
from condarium.conda.disk import INTERPRETERS, PACKAGES, is_disk_fault
from condarium.conda.network import build_client
from condarium.conda.pieces.prefix_record import history, state
from condarium.conda.prefix_size import PrefixSize, measure
from condarium.conda.uv import Uv
from condarium.conda.wheels.linking import interpreter, link_wheels
from condarium.domain.lock import Lock, Record
from condarium.domain.naming import MAX_PREFIX_PATH, prefix_name
from condarium.errors import InputFault, WorldFault

_LINK_SCRIPTS = (".post-link.sh", ".pre-link.sh", ".pre-unlink.sh", "-post-link.sh", "-pre-link.sh", "-pre-unlink.sh")


@dataclass(frozen=True)
class Place:
    """Where a lock is linked to. `cache` and `store` should be on one file system; `staging` lies in the store.

    What is left in `staging` afterwards is the caller's to remove.
    """

    store: Path
    cache: Path
    namespace: str
    name: str
    staging: Path

    def final(self, lock: Lock) -> Path:
        return prefix_path(self.store, self.namespace, lock.hash, self.name)


@dataclass(frozen=True)
class Linked:
    """`size`: the bytes of the prefix's files, and which of them are hard links; `warnings`: sentences for the log."""

    prefix: Path
    reused: bool
    size: PrefixSize
    warnings: tuple[str, ...] = ()


def prefix_path(store: Path, namespace: str, lock_hash: str, name: str) -> Path:
    """Where the lock with this hash lies for this namespace and name."""
    return store / namespace / prefix_name(lock_hash, name)


async def link(
    lock: Lock,
    place: Place,
    settings: ChannelSettings,
    uv: Uv,
    *,
    link_scripts: bool = False,
    mend: bool = False,
    seconds: float = 1800.0,
    log: Callable[[str], None] = lambda _: None,
) -> Linked:
    """Link `lock`, whose packages are in the package cache already, and rename it into its final place.

    A prefix that is there already is taken as it is, or with `mend` exchanged for the fresh one in one step, which
    those who use it do not notice. `link_scripts` runs the code of strangers, in a copy.

    Raises InputFault("link-failed") for what cannot be linked, and WorldFault for a full or broken disk.
    """
    final = place.final(lock)
    if final.is_dir() and not mend:
        return Linked(final, True, _size(final, place, link_scripts))
    if len(str(final)) > MAX_PREFIX_PATH:
        raise InputFault(f"The prefix {final} would be longer than {MAX_PREFIX_PATH} characters.", reason="link-failed")
    work, prefix = place.staging, place.staging / "prefix"
    work.mkdir(parents=True, exist_ok=True)
    warnings = () if link_scripts else _script_warnings(lock, place.cache / PACKAGES)
    if work.stat().st_dev != place.cache.stat().st_dev:
        warnings += (f"{place.cache} is on another file system than {place.store}: packages are copied, not linked",)
    try:
        await _install(lock.conda, lock.platform, prefix, final, place, settings, lock.requested, link_scripts)
        if lock.pypi:

            async def link_python(records: Sequence[Record], target: Path, lasting: Path) -> None:
                await _install(records, lock.platform, target, lasting, place, settings, (), False)

            log(f"Installing {len(lock.pypi)} wheels")
            python = await interpreter(lock, place.cache / INTERPRETERS, link_python)
            await link_wheels(lock, prefix, final, python, uv, work, seconds=seconds)
        _write_meta(lock, prefix)
        size = _size(prefix, place, link_scripts)
        reused = _move(prefix, final) if not mend or not final.is_dir() else exchange(prefix, final)
    except OSError as error:
        raise WorldFault(f"The prefix cannot be written: {error.strerror or error} ({error.filename}).") from error
    return Linked(final, reused, size, warnings)


async def _install(
    records: Sequence[Record],
    platform: str,
    target: Path,
    final: Path,
    place: Place,
    settings: ChannelSettings,
    requested: Iterable[str],
    link_scripts: bool,
) -> None:
    urls = {url for record in records for url in settings.package_urls(record.url)}
    config = Config.from_toml("allow-hard-links = false") if link_scripts else None
    try:
        await install(
            to_rattler(records, target.with_name(f"{target.name}.records")),
            target_prefix=target,
            alternative_target_prefix=final,
            cache_dir=place.cache / PACKAGES,
            installed_packages=[],
            platform=Subdir(platform),
            execute_link_scripts=link_scripts,
            show_progress=False,
            client=build_client(settings, urls),
            # py-rattler 0.28 wants the inner object here.
            requested_specs=[MatchSpec(text)._match_spec for text in requested],
            config=config,
        )
    except (InstallerError, LinkError) as error:
        text = str(error).strip()
        if is_disk_fault(text) or "error sending request" in text:
            raise WorldFault(f"The packages cannot be linked: {text}") from None
        raise InputFault(f"The packages cannot be linked: {text}", reason="link-failed") from None


def to_rattler(records: Sequence[Record], scratch: Path) -> list[RepoDataRecord]:
    """The records of a lock as py-rattler's: it reads them out of a repodata.json, made in `scratch` for a moment."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    urls: dict[tuple[str, str, str], str] = {}
    for record in records:
        file = unquote(record.filename)
        groups.setdefault((record.channel, record.subdir), {})[file] = dict(record.raw)
        urls[(record.channel, record.subdir, file)] = record.url
    scratch.mkdir(parents=True, exist_ok=True)
    found: list[RepoDataRecord] = []
    for number, ((channel, subdir), packages) in enumerate(groups.items()):
        file_path = scratch / f"{number}.json"
        conda = {name: raw for name, raw in packages.items() if name.endswith(".conda")}
        other = {name: raw for name, raw in packages.items() if name not in conda}
        document = {"info": {"subdir": subdir}, "packages": other, "packages.conda": conda, "repodata_version": 1}
        file_path.write_text(json.dumps(document))
        with SparseRepoData(Channel(channel), subdir, file_path) as repodata:
            for loaded in repodata.load_all_records():
                loaded.url = urls[(channel, subdir, unquote(loaded.file_name))]
                found.append(loaded)
    shutil.rmtree(scratch)
    return found


def _script_warnings(lock: Lock, packages: Path) -> tuple[str, ...]:
    """Packages with link scripts, which are not run."""
    found = []
    for record in lock.conda:
        folder = packages / package_cache.entry_name(record) / "bin"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        if any(name.startswith(".") and name.endswith(_LINK_SCRIPTS) for name in names):
            found.append(
                f"{record.name} {record.version} has link scripts, which are not run (CONDARIUM_LINK_SCRIPTS is off)"
            )
    return tuple(found)


def _write_meta(lock: Lock, prefix: Path) -> None:
    (prefix / "conda-meta").mkdir(exist_ok=True)
    # py-rattler marks prefixes as caches, which backups leave out.
    (prefix / "CACHEDIR.TAG").unlink(missing_ok=True)
    (prefix / "conda-meta" / "history").write_bytes(history(lock))
    if lock.variables:
        (prefix / "conda-meta" / "state").write_bytes(state(lock.variables))


def _size(prefix: Path, place: Place, link_scripts: bool) -> PrefixSize:
    size = measure(prefix)
    copied = link_scripts or prefix.stat().st_dev != place.cache.stat().st_dev
    return size.copied() if copied else size


def exchange(fresh: Path, final: Path) -> bool:
    """Puts `fresh` where `final` is, and the other way round, so that there is always one; False as `_move` says."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        here = -100  # AT_FDCWD
        if renameat2(here, os.fsencode(fresh), here, os.fsencode(final), 2) == 0:  # RENAME_EXCHANGE
            return False
    # A file system that cannot exchange, such as NFS: for a moment there is none.
    os.rename(final, fresh.with_name(f"{fresh.name}.old"))
    os.rename(fresh, final)
    return False


def _move(prefix: Path, final: Path) -> bool:
    """Rename into place; True where another build of the same lock was quicker, whose prefix is just as good."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Onto a directory with something in it this fails, and changes nothing.
        os.rename(prefix, final)
    except OSError:
        if not final.is_dir():
            raise
        return True
    return False
