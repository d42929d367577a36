"""The lock: everything that decides the bytes of one platform's environment, and nothing else.

A lock holds no time and no name of an environment, build or machine; every serving is a pure rendering of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from condarium.domain.canonical import canonical_hash

LOCK_VERSION = 1


@dataclass(frozen=True)
class Record:
    """A conda package as the channel's repodata describes it; `raw` is that record, as rattler writes it."""

    raw: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.raw["name"])

    @property
    def version(self) -> str:
        return str(self.raw["version"])

    @property
    def build(self) -> str:
        return str(self.raw["build"])

    @property
    def subdir(self) -> str:
        return str(self.raw["subdir"])

    @property
    def channel(self) -> str:
        return str(self.raw.get("channel") or "")

    @property
    def url(self) -> str:
        return str(self.raw["url"])

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def sha256(self) -> str:
        return str(self.raw["sha256"])

    @property
    def md5(self) -> str | None:
        md5 = self.raw.get("md5")
        return str(md5) if md5 else None

    @property
    def size(self) -> int:
        """Bytes of the archive; 0 where the channel does not say."""
        return int(self.raw.get("size") or 0)

    @property
    def depends(self) -> tuple[str, ...]:
        return tuple(self.raw.get("depends") or ())

    @property
    def license(self) -> str | None:
        value = self.raw.get("license")
        return str(value) if value else None

    @property
    def is_noarch_python(self) -> bool:
        return self.raw.get("noarch") == "python"

    @cached_property
    def hash(self) -> str:
        """sha256 of the record: channels patch metadata without touching the archive, and conda-meta holds it."""
        return canonical_hash(dict(self.raw))


@dataclass(frozen=True)
class Wheel:
    """A locked wheel; `size` in bytes."""

    name: str
    version: str
    url: str
    sha256: str
    size: int
    filename: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "url": self.url,
            "sha256": self.sha256,
            "size": self.size,
            "filename": self.filename,
        }


@dataclass(frozen=True)
class Lock:
    """One platform's environment, exactly."""

    platform: str
    channels: tuple[str, ...]
    virtual_packages: tuple[str, ...]
    requested: tuple[str, ...]
    conda: tuple[Record, ...]
    pypi: tuple[Wheel, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    version: int = LOCK_VERSION

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Lock":
        """Raises ValueError for a version this code does not know."""
        if data["version"] != LOCK_VERSION:
            raise ValueError(f"lock version {data['version']} is not known; this release reads version {LOCK_VERSION}")
        return cls(
            platform=data["platform"],
            channels=tuple(data["channels"]),
            virtual_packages=tuple(data["virtual_packages"]),
            requested=tuple(data["requested"]),
            conda=tuple(Record(raw) for raw in data["conda"]),
            pypi=tuple(Wheel(**wheel) for wheel in data["pypi"]),
            variables=dict(data["variables"]),
            options=dict(data["options"]),
        )

    def to_json(self) -> dict[str, Any]:
        """The canonical object: lists without an order of their own are sorted here."""
        return {
            "version": self.version,
            "platform": self.platform,
            "channels": list(self.channels),
            "virtual_packages": sorted(self.virtual_packages),
            "requested": sorted(self.requested),
            "variables": dict(sorted(self.variables.items())),
            "options": dict(self.options),
            "conda": [dict(record.raw) for record in sorted(self.conda, key=lambda r: r.name)],
            "pypi": [wheel.to_json() for wheel in sorted(self.pypi, key=lambda w: w.name)],
        }

    @cached_property
    def hash(self) -> str:
        """sha256 in hex of the canonical JSON: the identity of everything rendered from this lock."""
        return canonical_hash(self.to_json())

    @cached_property
    def _python(self) -> Record | None:
        return next((record for record in self.conda if record.name == "python"), None)

    @property
    def python_version(self) -> str | None:
        return self._python.version if self._python else None

    @property
    def python_xy(self) -> str | None:
        """`3.11`, or None for an environment without Python."""
        return ".".join(self._python.version.split(".")[:2]) if self._python else None

    @property
    def site_packages(self) -> str | None:
        """Where noarch Python packages go, relative to the prefix."""
        if not self._python:
            return None
        return str(self._python.raw.get("python_site_packages_path") or f"lib/python{self.python_xy}/site-packages")
