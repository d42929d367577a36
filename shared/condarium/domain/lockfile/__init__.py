"""A lockfile that somebody hands in: packages by address and hash, to be built exactly and never solved.

`reading.parse` takes the text of a user, `Lockfile.from_wire` the object that clients and the database hold,
which has the shape of conda-lock's first version whatever the format was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from condarium.domain.canonical import canonical_hash
from condarium.domain.lockfile.origin import KEY, Origin, read_origins, write_origins

CONDA, PIP = "conda", "pip"
#: the key of a `spec` that is a lockfile
LOCKFILE = "lockfile"


@dataclass(frozen=True)
class LockedPackage:
    """One file of one platform. At least one hash is there, of a wheel the sha256; hashes in hex."""

    name: str
    version: str
    manager: str
    platform: str
    url: str
    sha256: str | None = None
    md5: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def subdir(self) -> str:
        """Of a conda package: the part of the address before the file's name."""
        return self.url.rsplit("/", 2)[-2]

    @property
    def channel(self) -> str:
        """Of a conda package: the address of its channel."""
        return self.url.rsplit("/", 2)[0]


@dataclass(frozen=True)
class Lockfile:
    """`channels` in the order of their priority, as the file has them: URLs or names.

    `origins` is what Condarium wrote beside the packages of its own lockfiles, by platform; `content_hash` is passed
    on as it came.
    """

    channels: tuple[str, ...]
    platforms: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    content_hash: Mapping[str, str] = field(default_factory=dict)
    source: str = "environment.yml"

    def of(self, platform: str, manager: str) -> list[LockedPackage]:
        return [item for item in self.packages if item.platform == platform and item.manager == manager]

    @property
    def package_channels(self) -> tuple[str, ...]:
        """The channels that packages come from, in the order in which the file first names them."""
        return tuple(dict.fromkeys(item.channel for item in self.packages if item.manager == CONDA))

    def to_wire(self) -> dict[str, Any]:
        """The document that conda-store's clients are shown."""
        custom = {"custom_metadata": {KEY: write_origins(self.origins)}} if self.origins else {}
        return {
            "version": 1,
            "metadata": {
                "content_hash": dict(self.content_hash),
                "channels": [{"url": channel, "used_env_vars": []} for channel in self.channels],
                "platforms": list(self.platforms),
                "sources": [self.source],
                **custom,
            },
            "package": [_package(item) for item in self.packages],
        }

    @classmethod
    def from_wire(cls, document: Mapping[str, Any]) -> "Lockfile":
        """What `to_wire` wrote, and was checked when it came in."""
        metadata = document["metadata"]
        packages = tuple(
            LockedPackage(
                name=item["name"],
                version=item["version"],
                manager=item["manager"],
                platform=item["platform"],
                url=item["url"],
                sha256=item["hash"].get("sha256"),
                md5=item["hash"].get("md5"),
                dependencies=item["dependencies"],
            )
            for item in document["package"]
        )
        return cls(
            channels=tuple(channel["url"] for channel in metadata["channels"]),
            platforms=tuple(metadata["platforms"]),
            packages=packages,
            origins=read_origins((metadata.get("custom_metadata") or {}).get(KEY)),
            content_hash=metadata["content_hash"],
            source=metadata["sources"][0],
        )


@dataclass(frozen=True)
class LockedSpecification:
    """What a lockfile asks for, with the names that the file does not have. Stands where a Specification does.

    `options` are as a Specification's.
    """

    name: str
    description: str
    lockfile: Lockfile
    options: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> dict[str, Any]:
        """The object that is hashed."""
        canonical = {
            "version": 1,
            "name": self.name,
            "description": self.description,
            "lockfile": canonical_hash(self.lockfile.to_wire()),
        }
        return {**canonical, "options": dict(self.options)} if self.options else canonical

    @cached_property
    def hash(self) -> str:
        """sha256 in hex of the canonical JSON."""
        return canonical_hash(self.canonical())

    def to_wire(self) -> dict[str, Any]:
        """conda-store's `spec` object."""
        return {"name": self.name, "description": self.description, LOCKFILE: self.lockfile.to_wire()}


def _package(item: LockedPackage) -> dict[str, Any]:
    hashes = {kind: text for kind, text in (("md5", item.md5), ("sha256", item.sha256)) if text}
    return {
        "name": item.name,
        "version": item.version,
        "manager": item.manager,
        "platform": item.platform,
        "dependencies": dict(item.dependencies),
        "url": item.url,
        "hash": hashes,
        "category": "main",
        "optional": False,
    }
