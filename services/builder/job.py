"""What the builder asks of its child: one JSON object, complete in itself. The child reads no setting.

{"build_id", "attempt", "namespace", "name",
 "spec": conda-store's spec object, "default_platforms", "default_channels",
 "store", "cache": directories, "store_platform": the only platform that is linked,
 "channels": as of ChannelSettings, with the credentials that this job needs,
 "virtual_packages": {platform: ["__glibc=2.28", ...]},
 "pip_index_url", "link_scripts", "solve_seconds", "memory_bytes": 0 for no limit,
 "exclude_newer": the day whose channels it is solved with, as 2026-11-20, or null for now,
 "locks": {platform: lock} to link what was solved before, else null,
 "mend": true to exchange the prefix that is there for a fresh one,
 "only_solve": true for an answer without a build, "repodata": what the channels looked like at the answer before}

A `spec` with a "lockfile" (`condarium.domain.lockfile`) is not solved: its packages are looked up and linked.
"""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from condarium.domain.lockfile import LOCKFILE

_OVERRIDE = "CONDA_OVERRIDE_"
#: in a staging directory: a child holds it locked for as long as it lives, so that nobody tidies up around it
STAGING_LOCK = ".lock"
#: what the staging directories of solves begin with; ids of builds and of solves are numbers alike
SOLVE_STAGING = "solve-"


@dataclass(frozen=True)
class Job:
    """One attempt of one build, as plain JSON values."""

    build_id: int
    attempt: int
    namespace: str
    name: str
    spec: Mapping[str, Any]
    store: str
    cache: str
    store_platform: str
    default_platforms: tuple[str, ...] = ("linux-64",)
    default_channels: tuple[str, ...] = ("conda-forge",)
    channels: Mapping[str, Any] = field(default_factory=dict)
    virtual_packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pip_index_url: str | None = None
    link_scripts: bool = False
    solve_seconds: float = 300.0
    memory_bytes: int = 0
    locks: Mapping[str, Mapping[str, Any]] | None = None
    mend: bool = False
    only_solve: bool = False
    repodata: str | None = None
    exclude_newer: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Job":
        """Raises TypeError for an unknown or a missing key."""
        job = cls(**data)
        lists = {item.name: tuple(getattr(job, item.name)) for item in fields(cls) if "tuple" in str(item.type)[:5]}
        return cls(**{**data, **lists})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def staging(self) -> Path:
        """Everything that the attempt writes besides the caches, until the prefix is moved."""
        kind = SOLVE_STAGING if self.only_solve else ""
        return Path(self.store) / ".staging" / f"{kind}{self.build_id}-{self.attempt}"

    @property
    def lockfile(self) -> Mapping[str, Any] | None:
        """What stands in place of dependencies in a specification that was given as a lockfile."""
        found = self.spec.get(LOCKFILE)
        return found if isinstance(found, Mapping) else None

    @property
    def platforms(self) -> tuple[str, ...]:
        return tuple(self.spec.get("platforms") or self.default_platforms)

    @property
    def channel_names(self) -> tuple[str, ...]:
        named = tuple(name for name in self.spec.get("channels") or () if name != "nodefaults")
        return named or ("nodefaults" not in (self.spec.get("channels") or ()) and self.default_channels) or ()

    @property
    def dependencies(self) -> tuple[str, ...]:
        return tuple(item for item in self.spec.get("dependencies") or () if isinstance(item, str))

    @property
    def pip(self) -> tuple[str, ...]:
        sections = (item for item in self.spec.get("dependencies") or () if isinstance(item, Mapping))
        return tuple(line for section in sections for line in section.get("pip") or ())

    @property
    def variables(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._all_variables.items() if not name.startswith(_OVERRIDE)}

    @property
    def overrides(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._all_variables.items() if name.startswith(_OVERRIDE)}

    @property
    def _all_variables(self) -> Mapping[str, Any]:
        return self.spec.get("variables") or {}


def host_platform() -> str:
    """conda's name of the machine that this runs on."""
    machine = platform.machine().lower()
    system = {"Linux": "linux", "Darwin": "osx", "Windows": "win"}.get(platform.system(), "linux")
    names = {"x86_64": "64", "amd64": "64", "arm64": "arm64" if system == "osx" else "aarch64"}
    return f"{system}-{names.get(machine, machine)}"
