"""Solving: match specs and channels to the exact packages of one platform."""

import asyncio
import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rattler import Channel, ChannelPriority, Gateway, MatchSpec, RepoDataRecord, SparseRepoData, solve
from rattler.exceptions import SolverError
from rattler.networking import Client
from rattler.repo_data.multi_source import MultiSource

from condarium.conda import matchspec, virtual
from condarium.conda.channels import ChannelSettings, directory_of
from condarium.conda.gateway import reading
from condarium.conda.network import build_client, channel_fault
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.specification.overrides import KNOWN
from condarium.errors import InputFault, WorldFault

_PRIORITIES = {"strict": ChannelPriority.Strict, "disabled": ChannelPriority.Disabled}
# Where the index was made is no property of a package: it would change the lock each time a channel is indexed.
_NOT_OF_THE_PACKAGE = ("indexed_timestamp",)


@dataclass(frozen=True)
class Wish:
    """What is to be solved for one platform. `channels` are canonical URLs; `virtual` as `virtual.assumed` gives."""

    platform: str
    channels: tuple[str, ...]
    dependencies: tuple[str, ...]
    virtual: tuple[str, ...]
    priority: str = "strict"
    seconds: float = 300.0
    #: packages that are newer are not there; those that do not say how old they are, are
    exclude_newer: datetime.datetime | None = None


@dataclass(frozen=True)
class Solution:
    """The packages of one platform: for the lock, and as py-rattler wants them for linking."""

    wish: Wish
    channels: tuple[str, ...]
    requested: tuple[str, ...]
    records: tuple[Record, ...]
    rattler_records: tuple[RepoDataRecord, ...] = field(repr=False)

    def lock(
        self, *, wheels: Sequence[Wheel] = (), variables: Mapping[str, str], options: Mapping[str, Any] | None = None
    ) -> Lock:
        return Lock(
            platform=self.wish.platform,
            channels=self.channels,
            virtual_packages=self.wish.virtual,
            requested=self.requested,
            conda=self.records,
            pypi=tuple(wheels),
            variables=dict(variables),
            options=dict(options or {}),
        )


async def solve_platform(wish: Wish, settings: ChannelSettings, repodata_cache: Path) -> Solution:
    """The one answer of the solver; repodata is kept on disk in `repodata_cache` and always checked for news.

    Raises:
        InputFault: unsolvable, no-such-package or no-such-channel, in the solver's own words.
        WorldFault: a channel cannot be read now.
    """
    specs = [matchspec.parse(text) for text in wish.dependencies]
    channels = _with_named_channels(wish.channels, specs, settings)
    bound = [_bind(spec, settings) for spec in specs]
    found = await _solve_somewhere(wish, channels, bound, settings, repodata_cache)
    pairs = sorted(((raw_of(record), record) for record in found), key=lambda pair: str(pair[0]["name"]))
    return Solution(
        wish=wish,
        channels=channels,
        requested=tuple(sorted(str(spec) for spec in specs)),
        records=tuple(Record(raw) for raw, _ in pairs),
        rattler_records=tuple(record for _, record in pairs),
    )


def channels_of(wish: Wish, settings: ChannelSettings) -> tuple[str, ...]:
    """All channels that the solver will read. Raises InputFault."""
    return _with_named_channels(wish.channels, [matchspec.parse(text) for text in wish.dependencies], settings)


def _with_named_channels(
    channels: Sequence[str], specs: Sequence[MatchSpec], settings: ChannelSettings
) -> tuple[str, ...]:
    """`bioconda::samtools` asks for its channel too, after those that are listed; as conda does."""
    named = [channel for spec in specs if (channel := matchspec.channel_of(spec))]
    everything = tuple(dict.fromkeys((*channels, *settings.resolve(named))))
    if not everything:
        raise InputFault("No channel is named, and no default channel is set.", reason="no-such-channel")
    return everything


def _bind(spec: MatchSpec, settings: ChannelSettings) -> MatchSpec:
    """py-rattler reads channel names with Anaconda's address; ours may have another alias."""
    named = matchspec.channel_of(spec)
    if named is None or settings.canonical(named) == str(spec.channel.base_url).rstrip("/"):
        return spec
    return matchspec.with_channel(spec, settings.canonical(named))


async def _solve_somewhere(
    wish: Wish, channels: tuple[str, ...], specs: list[MatchSpec], settings: ChannelSettings, repodata_cache: Path
) -> list[RepoDataRecord]:
    """Try the first location of every channel, then the second, and so on, until the channels can be read."""
    rounds = max(len(settings.locations(channel)) for channel in channels)
    faults: list[Exception] = []
    for turn in range(rounds):
        try:
            return await _solve_with(turn, wish, channels, specs, settings, repodata_cache)
        except SolverError as error:
            raise _unsolvable(error, wish, channels, settings) from None
        except (InputFault, WorldFault) as fault:
            faults.append(fault)
        except Exception as error:
            faults.append(await channel_fault(error, settings, channels))
    # If any mirror was merely away, trying again later may help.
    raise next((fault for fault in faults if isinstance(fault, WorldFault)), faults[0])


async def _solve_with(
    turn: int,
    wish: Wish,
    channels: tuple[str, ...],
    specs: list[MatchSpec],
    settings: ChannelSettings,
    repodata_cache: Path,
) -> list[RepoDataRecord]:
    sources, client = open_sources(turn, channels, wish.platform, settings)

    async def work(gateway: Gateway) -> list[RepoDataRecord]:
        found: list[RepoDataRecord] = await solve(
            sources=sources,
            specs=specs,
            gateway=gateway,
            platforms=[wish.platform, "noarch"],
            virtual_packages=virtual.to_rattler(wish.virtual),
            channel_priority=_PRIORITIES[wish.priority],
            channel_relations="disabled",
            timeout=datetime.timedelta(seconds=wish.seconds),
            exclude_newer=wish.exclude_newer,
            timestamp_policy="allow-missing",
        )
        return found

    # The solver's own limit covers the search only; reading channels may take a while the first time.
    return await asyncio.wait_for(reading(work, repodata_cache, client), timeout=wish.seconds + 600)


def open_sources(
    turn: int, channels: Sequence[str], platform: str, settings: ChannelSettings
) -> tuple[list[Any], Client]:
    """What a Gateway asks, and the client it asks with; `turn` counts through the locations of mirrored channels.

    Raises InputFault("no-such-channel") for a directory that is no channel.
    """
    sources: list[Any] = []
    mirrors: dict[str, list[str]] = {}
    for channel in channels:
        places = settings.locations(channel)
        first = turn % len(places)
        directory = directory_of(places[first])
        if directory:
            sources.append(_local_source(channel, directory, platform, settings))
            continue
        sources.append(channel)
        remote = [place for place in (*places[first:], *places[:first]) if not directory_of(place)]
        if remote != [channel]:
            mirrors[channel] = remote
    locations = [place for channel in channels for place in settings.locations(channel)]
    return sources, build_client(settings, locations, mirrors=mirrors, timeout_seconds=600)


def _local_source(channel: str, directory: Path, platform: str, settings: ChannelSettings) -> MultiSource:
    """A channel on this machine, whose records carry the canonical URL; one tier of priority for both subdirs."""
    files = [(subdir, directory / subdir / "repodata.json") for subdir in (platform, "noarch")]
    present = [(subdir, file) for subdir, file in files if file.is_file()]
    if not present:
        mirror = f" {settings.mirror_sentence([channel])}" if settings.is_mirrored(channel) else ""
        raise InputFault(
            f"Cannot find the channel {settings.short_name(channel)!r} ({channel}): there is no repodata.json for "
            f"{platform} or noarch in {directory}.{mirror}",
            reason="no-such-channel",
        )
    return MultiSource(channel, [SparseRepoData(Channel(channel), subdir, file) for subdir, file in present])


def raw_of(record: RepoDataRecord) -> dict[str, Any]:
    """The record as it goes into the lock and, by linking, into conda-meta."""
    record.indexed_timestamp = None
    raw: dict[str, Any] = json.loads(record.to_json())
    for key in _NOT_OF_THE_PACKAGE:
        raw.pop(key, None)
    if not raw.get("sha256"):
        raise InputFault(
            f"The channel states no sha256 for {raw['url']}, so that its bytes cannot be verified.",
            reason="no-such-package",
        )
    return raw


def _unsolvable(error: Exception, wish: Wish, channels: Sequence[str], settings: ChannelSettings) -> InputFault:
    text = str(error).strip()
    if "has been cancelled" in text:
        text = (
            f"The solver found no answer within {wish.seconds:g} seconds; give versions for the packages that matter "
            "to narrow the search."
        )
    unknown = re.search(r"No candidates were found for (\S+) \*\.", text)
    if unknown and unknown[1].startswith("__"):
        unknown = None
    where = f"Platform {wish.platform}; channels {', '.join(map(settings.short_name, channels))}."
    if wish.exclude_newer is not None:
        where += f" Nothing newer than {wish.exclude_newer.date()} was looked at."
    mirror = settings.mirror_sentence(channels)
    message = "\n".join(part for part in (text, where, mirror, _machine_sentence(text, wish)) if part)
    return InputFault(message, reason="no-such-package" if unknown else "unsolvable")


#: a virtual package in the solver's words
_VIRTUAL = re.compile(r"(?<![\w.-])(__[a-z0-9_]+)")


def _machine_sentence(text: str, wish: Wish) -> str:
    """What to set when the solver misses something of the machine; empty where it names nothing of the kind."""
    assumed = {virtual.parts_of(each)[0]: each for each in wish.virtual}
    named = list(dict.fromkeys(_VIRTUAL.findall(text)))
    if not named:
        return ""
    has = [f"{name} ({assumed[name]})" if name in assumed else f"{name} (none)" for name in named]
    variables = {package: variable for variable, (package, _) in KNOWN.items()}
    example = f"{named[0]}={_EXAMPLES.get(named[0], '1')}"
    wanted = [f"{variables[name]} in the variables of the specification" for name in named if name in variables]
    return (
        f"What the machines have is not detected but set; assumed here for {wish.platform}: {', '.join(has)}. "
        f'If they have more, set virtual_packages to {{"{wish.platform}": ["{example}"]}} '
        "(PUT /api/v1/setting/NAMESPACE/, or CONDARIUM_VIRTUAL_PACKAGES for the whole deployment)"
        + (f", or {', '.join(wanted)}." if wanted else ".")
    )


_EXAMPLES = {"__cuda": "12.4", "__glibc": "2.35", "__osx": "14.0", "__linux": "6.1", "__archspec": "1=x86_64_v3"}
