"""The host's package cache: every package extracted once, then hard-linked into prefixes by py-rattler.

py-rattler would fill it itself while linking, but it locks the whole cache meanwhile, so that one slow download
would keep every build of the host waiting. Here packages are fetched beside the cache, several at a time and each
by one process only, and renamed into it. What stands in an entry's `.lock` file is py-rattler's format: a revision
(8 bytes, big endian) and the archive's sha256; an entry that it does not accept, it would simply fetch again.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rattler.networking import Client
from rattler.package_streaming import download_and_extract

from condarium.conda import fetch
from condarium.conda.channels import ChannelSettings
from condarium.conda.disk import ACCESS, CACHE_LOCK, INCOMING, exclusive, is_disk_fault
from condarium.conda.network import build_client, retry_after, status_of
from condarium.domain.lock import Record
from condarium.domain.redaction import redact
from condarium.errors import CondariumError, InputFault, WorldFault

_TRIES = 3
_FIRST_WAIT_SECONDS = 0.3
_POLL_SECONDS = 0.02
# A download that is slower than this has stalled.
_LEAST_SECONDS = 120
_LEAST_BYTES_A_SECOND = 20_000

Progress = Callable[[int, int, int, int], None]
"""Called with packages done, packages to do, bytes done, bytes to do."""


@dataclass(frozen=True)
class Fetched:
    """What had to be fetched; `bytes` of archives."""

    packages: int
    bytes: int


async def fill(
    records: Sequence[Record],
    package_cache: Path,
    settings: ChannelSettings,
    *,
    parallel: int = 8,
    progress: Progress | None = None,
) -> Fetched:
    """Bring whatever of `records` is not in `package_cache` yet, verified by sha256 and made read-only.

    Raises:
        WorldFault: a channel cannot be read, or its bytes are not those of the lock.
        InputFault: the channel has no such package, refuses it, or the package cannot be extracted.
    """
    missing = [record for record in records if not _present(package_cache, record, settings)]
    if not missing:
        return Fetched(0, 0)
    (package_cache / INCOMING).mkdir(parents=True, exist_ok=True)
    total = sum(record.size for record in missing)
    places = {place for record in missing for place in settings.package_urls(record.url)}
    client = build_client(settings, places)
    gate = asyncio.Semaphore(parallel)
    done = [0, 0]

    async def bring(record: Record) -> None:
        async with gate:
            await _bring(record, package_cache, settings, client)
        done[0] += 1
        done[1] += record.size
        if progress:
            progress(done[0], len(missing), done[1], total)

    # Largest first: the last one to arrive decides how long it takes.
    tasks = [asyncio.create_task(bring(record)) for record in sorted(missing, key=lambda r: -r.size)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return Fetched(len(missing), total)


def entry_name(record: Record) -> str:
    return f"{record.name}-{record.version}-{record.build}"


def _present(package_cache: Path, record: Record, settings: ChannelSettings) -> bool:
    """Whether the entry holds this very archive, and this job may use it; marks it as used now."""
    entry = package_cache / entry_name(record)
    try:
        held = (package_cache / f"{entry_name(record)}.lock").read_bytes()[8:40]
        if held.hex() != record.sha256:
            return False
        may = _scopes(package_cache, record)
        if may is not None and settings.scope_of(record.url) not in may:
            return False
        os.utime(entry)
    except OSError:
        return False
    return True


def _scopes(package_cache: Path, record: Record) -> set[str] | None:
    """Whose credentials have fetched this archive; None where everybody may use it.

    A digest is no secret: without this, whoever knows it would get a private package out of the cache.
    """
    try:
        lines = (package_cache / f"{entry_name(record)}{ACCESS}").read_text().splitlines()
    except FileNotFoundError:
        return None
    return {line.partition(" ")[2] for line in lines if line.partition(" ")[0] == record.sha256}


def _mark(package_cache: Path, record: Record, scope: str, held: str) -> None:
    """Notes who may use the archive, before the entry says that it is there; `held` is the sha256 that it says now."""
    known = _scopes(package_cache, record) if held == record.sha256 else set()
    if known is None:
        return  # everybody may already
    path = package_cache / f"{entry_name(record)}{ACCESS}"
    staging = path.with_name(f"{path.name}.{os.getpid()}")
    staging.write_text("".join(f"{record.sha256} {each}\n" for each in sorted({*known, scope})))
    os.replace(staging, path)


async def _bring(record: Record, package_cache: Path, settings: ChannelSettings, client: Client) -> None:
    incoming = package_cache / INCOMING
    while True:
        with exclusive(incoming / f"{record.sha256}.lock", blocking=False) as mine:
            if mine:
                if not _present(package_cache, record, settings):
                    _remove_leftovers(incoming, record.sha256)
                    await _extract(record, incoming / f"{record.sha256}-{os.getpid()}", settings, client, package_cache)
                return
        # Another process is bringing it; it may also die while doing so, and then it is our turn.
        await asyncio.sleep(_POLL_SECONDS)


def _remove_leftovers(incoming: Path, sha256: str) -> None:
    for path in incoming.glob(f"{sha256}-*"):
        shutil.rmtree(path, ignore_errors=True)


async def _extract(
    record: Record, staging: Path, settings: ChannelSettings, client: Client, package_cache: Path
) -> None:
    faults: list[CondariumError] = []
    base = staging
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_FIRST_WAIT_SECONDS * 4 ** (attempt - 1))
        faults = []
        for number, place in enumerate(settings.package_urls(record.url)):
            # A new directory each time: an attempt that was given up may still be writing to its own.
            staging = base.with_name(f"{base.name}-{attempt}-{number}")
            try:
                await _extract_from(place, record, staging, settings, client)
                await asyncio.to_thread(_publish, record, staging, package_cache, settings.scope_of(record.url))
                return
            except CondariumError as fault:
                faults.append(fault)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        if all(isinstance(fault, InputFault) for fault in faults):
            break
    raise next((fault for fault in faults if isinstance(fault, WorldFault)), faults[0])


async def _extract_from(place: str, record: Record, staging: Path, settings: ChannelSettings, client: Client) -> None:
    shown = redact(place, settings.secrets())
    try:
        # Its own parameter for the expected digest does nothing in py-rattler 0.28, hence the comparison below.
        seconds = _LEAST_SECONDS + record.size / _LEAST_BYTES_A_SECOND
        sha256, _ = await asyncio.wait_for(download_and_extract(client, place, staging), seconds)
    except TimeoutError:
        raise WorldFault(f"{shown} did not arrive within {seconds:.0f} seconds.") from None
    except Exception as error:
        raise await _fault(error, place, shown, record, staging, settings) from None
    if sha256.hex() != record.sha256:
        raise WorldFault(f"{shown} has sha256 {sha256.hex()}, but the lock states {record.sha256}.")


async def _fault(
    error: Exception, place: str, shown: str, record: Record, staging: Path, settings: ChannelSettings
) -> CondariumError:
    text = redact(str(error).strip(), settings.secrets())
    if is_disk_fault(text):
        return WorldFault(f"{shown} cannot be unpacked: {text}.")
    status = status_of(text)
    if status is None and "Invalid checksum" not in text and staging.exists() and "response body" not in text:
        # Bytes came, and could not be read as a package. Is it the package, or were they damaged on the way?
        whole = staging.with_name(f"{staging.name}.archive")
        try:
            await asyncio.to_thread(fetch.download, record.url, record.sha256, whole, settings)
        except CondariumError as fault:
            return fault
        finally:
            whole.unlink(missing_ok=True)
        return InputFault(f"{shown} is not a sound conda package: {text}.", reason="link-failed")
    if status and status[0] in (401, 403, 407):
        refusal = settings.refusal(status[1])
        return InputFault(f"{shown} refused access: {text}. {refusal}", reason="no-such-channel")
    if (status and status[0] in (404, 410)) or "No such file" in text:
        return InputFault(f"{shown} does not exist: {text}.", reason="no-such-package")
    after = await retry_after(status, settings)
    return WorldFault(f"{shown} cannot be fetched: {text}.", retry_after=after)


def _publish(record: Record, staging: Path, package_cache: Path, scope: str) -> None:
    """Make the extracted package an entry of the cache; quick, for the whole cache is locked meanwhile."""
    _make_read_only(staging)
    entry = package_cache / entry_name(record)
    lock = package_cache / f"{entry.name}.lock"
    retired = staging.with_name(f"{staging.name}.old")
    with exclusive(package_cache / CACHE_LOCK):
        try:
            held = lock.read_bytes()
        except OSError:
            held = b""
        revision = int.from_bytes(held[:8], "big")
        if scope:
            _mark(package_cache, record, scope, held[8:40].hex())
        if entry.exists():
            # Same name, version and build, other bytes: a rebuilt package, or one of another channel.
            os.rename(entry, retired)
        os.rename(staging, entry)
        lock.write_bytes((revision + 1).to_bytes(8, "big") + bytes.fromhex(record.sha256))
        if not scope:
            (package_cache / f"{entry.name}{ACCESS}").unlink(missing_ok=True)
    shutil.rmtree(retired, ignore_errors=True)


def _make_read_only(folder: Path) -> None:
    """Prefixes share these inodes: writing to a file in one of them would change all of them."""
    stack = [os.fspath(folder)]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    os.chmod(entry.path, stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & ~0o222)
