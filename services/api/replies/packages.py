"""What the indexed channels have, as it is shown."""

from typing import Annotated, Literal

from pydantic import Field

from services.api.replies.envelopes import Moment, Shown


class ChannelOfPackage(Shown):
    id: int
    name: Annotated[str, Field(description="canonical URL; `pypi` for wheels of a build")]
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
    """What repodata says of one file."""

    channel: str
    subdir: str
    name: str
    version: str
    build: str
    build_number: int
    file_name: str
    license: str | None
    size: Annotated[int, Field(description="bytes of the archive")]
    timestamp: Annotated[int, Field(description="milliseconds since 1970; 0 is unknown")]
    sha256: str | None
    depends: list[str]
    constrains: list[str]


class ChannelPart(Shown):
    """A subdir, or channeldata.json; each is read on its own."""

    part: str
    state: Annotated[
        Literal["waiting", "syncing", "absent", "failing", "new"],
        Field(description="absent: the channel has no such part; failing: what was read before stays; new: never read"),
    ]
    records: int
    checked_on: Annotated[Moment | None, Field(description="when it last answered")]
    changed_on: Moment | None
    due_on: Annotated[Moment | None, Field(description="when it is read next")]
    error: str | None
    failures: Annotated[int, Field(description="in a row")]
    failing_since: Moment | None


class ChannelExtras(Shown):
    packages: Annotated[int, Field(description="names")]
    error: Annotated[str | None, Field(description="the first of its parts'")]
    parts: list[ChannelPart]


class Channel(Shown):
    """A channel whose packages can be searched; `last_update` is null until all of it was read once."""

    id: int
    name: str
    last_update: Moment | None
    condarium: ChannelExtras
