"""A lockfile to the lock of one platform: every package as its channel describes it, nothing solved.

Lockfiles name files; a lock holds the whole record of each. It is looked up in the channel's index, and where the
index does not know the file (any more), read out of the file itself, which is verified first.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rattler import Gateway, RepoDataRecord

from condarium.conda import fetch, pypi, virtual
from condarium.conda.archive import bad_package
from condarium.conda.archive_index import read_index
from condarium.conda.channels import ChannelSettings
from condarium.conda.disk import is_disk_fault
from condarium.conda.gateway import reading
from condarium.conda.link import to_rattler
from condarium.conda.network import channel_fault
from condarium.conda.solve import open_sources, raw_of
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.lockfile import CONDA, PIP, LockedPackage, Lockfile
from condarium.domain.lockfile.origin import Origin
from condarium.errors import CondariumError, InputFault, WorldFault

_AT_A_TIME = 8


@dataclass(frozen=True)
class Assumed:
    """What the lockfile does not say: the settings' virtual packages of the platform, and the lock's options."""

    virtual_packages: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Desk:
    """Where to look: `repodata` is the cache of indexes, `scratch` a directory for archives that must be opened."""

    settings: ChannelSettings
    repodata: Path
    scratch: Path


async def read_lock(lockfile: Lockfile, platform: str, desk: Desk, assumed: Assumed) -> Lock:
    """The lock of one platform of the lockfile.

    Raises:
        InputFault: no such package or channel, other bytes than the lockfile says, a wheel that does not fit.
        WorldFault: a channel cannot be read now.
    """
    wanted = lockfile.of(platform, CONDA)
    known = await _known(wanted, platform, desk)
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def find(item: LockedPackage) -> Record:
        record = known.get(item.url)
        if record is not None:
            return _agreed(item, record, desk.settings)
        async with gate:
            return await asyncio.to_thread(_open, item, desk)

    records = tuple(sorted(await asyncio.gather(*map(find, wanted)), key=lambda record: record.name))
    origin = lockfile.origins.get(platform, Origin())
    machine = origin.virtual_packages or virtual.assumed(platform, assumed.virtual_packages)
    wheels = tuple(sorted((_wheel(item, origin) for item in lockfile.of(platform, PIP)), key=lambda wheel: wheel.name))
    pypi.check_fit(platform, records, machine, wheels)
    return Lock(
        platform=platform,
        channels=origin.channels or _channels(lockfile, desk.settings),
        virtual_packages=tuple(machine),
        requested=origin.requested or tuple(f"{item.name} =={item.version} {item.build}" for item in records),
        conda=records,
        pypi=wheels,
        variables=dict(origin.variables),
        options=dict(assumed.options),
    )


def _channels(lockfile: Lockfile, settings: ChannelSettings) -> tuple[str, ...]:
    """Those that the file lists, and behind them those that its packages come from."""
    return settings.resolve((*lockfile.channels, *lockfile.package_channels))


async def _known(wanted: Sequence[LockedPackage], platform: str, desk: Desk) -> dict[str, Record]:
    """What the channels' indexes say of the packages, by address. A channel without an index says nothing."""
    channels = tuple(dict.fromkeys(desk.settings.canonical(item.channel) for item in wanted))
    found = await asyncio.gather(*(_of_channel(channel, wanted, platform, desk) for channel in channels))
    return {url: record for each in found for url, record in each.items()}


async def _of_channel(channel: str, wanted: Sequence[LockedPackage], platform: str, desk: Desk) -> dict[str, Record]:
    ours = {(item.subdir, unquote(item.filename)): item.url for item in wanted if item.channel == channel}
    names = sorted({item.name for item in wanted if item.channel == channel})
    faults: list[Exception] = []
    for turn in range(len(desk.settings.locations(channel))):
        try:
            return _chosen(await _query(turn, channel, names, platform, desk), ours)
        except (InputFault, WorldFault) as fault:
            faults.append(fault)
        except Exception as error:
            faults.append(await channel_fault(error, desk.settings, [channel]))
    # An archive may be there all the same: the address in the lockfile says where.
    missing = next((fault for fault in faults if isinstance(fault, InputFault)), None)
    if missing is not None and "refused" not in str(missing):
        return {}
    raise faults[0]


async def _query(turn: int, channel: str, names: Sequence[str], platform: str, desk: Desk) -> list[RepoDataRecord]:
    sources, client = open_sources(turn, [channel], platform, desk.settings)

    async def work(gateway: Gateway) -> list[list[RepoDataRecord]]:
        found: list[list[RepoDataRecord]] = await gateway.query(
            sources, [platform, "noarch"], list(names), recursive=False
        )
        return found

    by_name = await reading(work, desk.repodata, client)
    return [record for records in by_name for record in records]


def _chosen(found: Sequence[RepoDataRecord], ours: Mapping[tuple[str, str], str]) -> dict[str, Record]:
    chosen = {}
    for record in found:
        url = ours.get((record.subdir, unquote(record.file_name)))
        if url is not None:
            chosen[url] = Record({**raw_of(record), "url": url})
    return chosen


def _agreed(item: LockedPackage, record: Record, settings: ChannelSettings) -> Record:
    """Raises InputFault where the channel has other bytes at that address."""
    for kind, asked, there in (("sha256", item.sha256, record.sha256), ("md5", item.md5, record.md5)):
        if asked and there and asked != there:
            mirror = settings.mirror_sentence([item.channel])
            raise InputFault(
                f"{item.url} has {kind} {there} in its channel, but the lockfile says {asked}: the package was "
                f"replaced, or the lockfile is of another channel. {mirror}".strip(),
                reason="no-such-package",
            )
        if asked and there:
            break
    return record


def _open(item: LockedPackage, desk: Desk) -> Record:
    """The record that the archive itself holds. Raises InputFault, WorldFault."""
    desk.scratch.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(item.url.encode()).hexdigest()[:16]
    archive = desk.scratch / key
    try:
        sha256 = fetch.download(item.url, item.sha256, archive, desk.settings, md5=item.md5)
        filename = unquote(item.filename)
        index = read_index(archive, filename)
        size = archive.stat().st_size
        md5 = item.md5 if not item.sha256 else _md5(archive)
    except CondariumError as error:
        raise _named(error, item) from None
    finally:
        archive.unlink(missing_ok=True)
    if (str(index.get("name")), str(index.get("version"))) != (item.name, item.version):
        raise InputFault(
            f"{item.url} holds {index.get('name')} {index.get('version')}, not {item.name} {item.version}.",
            reason="no-such-package",
        )
    facts = {"subdir": item.subdir, "fn": filename, "url": item.url, "channel": f"{item.channel}/"}
    raw = {**index, **facts, "sha256": sha256, "md5": md5, "size": size}
    try:
        (record,) = to_rattler([Record(raw)], desk.scratch / f"{key}.record")
    except (OSError, ValueError) as error:
        if is_disk_fault(str(error)):
            raise
        raise bad_package(filename, f"its index.json is no record: {error}") from None
    return Record({**raw_of(record), "url": item.url})


def _named(error: CondariumError, item: LockedPackage) -> CondariumError:
    if isinstance(error, InputFault):
        return InputFault(f"{item.name} {item.version} of the lockfile: {error}", reason=error.reason)
    return error


def _md5(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _wheel(item: LockedPackage, origin: Origin) -> Wheel:
    assert item.sha256 is not None
    filename = unquote(item.filename)
    return Wheel(item.name, item.version, item.url, item.sha256, origin.sizes.get(filename, 0), filename)
