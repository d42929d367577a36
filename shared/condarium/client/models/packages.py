"""What the indexed channels have."""

from condarium.client.models.shown import Moment, Shown


class ChannelOfPackage(Shown):
    """`name` is the canonical URL, `pypi` for wheels of a build."""

    id: int
    name: str
    last_update: Moment | None


class Package(Shown):
    """A version of a package of a channel."""

    id: int
    channel: ChannelOfPackage
    license: str | None
    name: str
    version: str
    summary: str | None


class PackageRecord(Shown):
    """What repodata says of one file; `size` in bytes, `timestamp` in milliseconds since 1970, 0 is unknown."""

    channel: str
    subdir: str
    name: str
    version: str
    build: str
    build_number: int
    file_name: str
    license: str | None
    size: int
    timestamp: int
    sha256: str | None
    depends: list[str]
    constrains: list[str]


class ChannelPart(Shown):
    """A subdir, or channeldata.json; `state` is waiting, syncing, absent, failing or new."""

    part: str
    state: str
    records: int
    checked_on: Moment | None
    changed_on: Moment | None
    due_on: Moment | None
    error: str | None
    failures: int
    failing_since: Moment | None


class ChannelExtras(Shown):
    packages: int
    error: str | None
    parts: list[ChannelPart]


class Channel(Shown):
    """A channel whose packages can be searched; `last_update` is null until all of it was read once."""

    id: int
    name: str
    last_update: Moment | None
    condarium: ChannelExtras
