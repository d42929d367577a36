"""Builds, their packages and what is made of them."""

from typing import Any, Literal

from condarium.client.models.packages import Package
from condarium.client.models.shown import Moment, Shown

Status = Literal["QUEUED", "BUILDING", "COMPLETED", "FAILED", "CANCELED"]
FINAL = ("COMPLETED", "FAILED", "CANCELED")


class WantedSpecification(Shown):
    """What was asked for; `spec` is the environment.yml, or has `lockfile` where one was sent."""

    id: int
    name: str
    spec: dict[str, Any]
    sha256: str
    created_on: Moment


class ArtifactLink(Shown):
    """An artifact that is ready."""

    id: int
    artifact_type: str
    key: str


class Artifact(Shown):
    """An artifact that was asked for; `state` is REQUESTED, MAKING, READY or FAILED, `size` in bytes.

    `digest` is sha256 in hex: of the bytes, of an image's manifest, or what names a tarball and is its `ETag`.
    """

    id: int
    artifact_type: str
    state: str
    reason: str | None
    attempt: int
    digest: str | None
    size: int | None
    ready_on: Moment | None


class BuildExtras(Shown):
    """`generation` counts the builds of an environment; `reason` is why it failed, in a word."""

    namespace: str
    environment: str
    generation: int
    key: str
    reason: str | None
    cancel_requested: bool
    deleted_on: Moment | None


class BuildDetails(BuildExtras):
    """`prefix` is the directory on the store's hosts; `locks` the hash of each platform's lock; `seconds` per phase."""

    prefix: str | None
    labels: dict[str, str]
    locks: dict[str, str]
    seconds: dict[str, Any] | None
    artifacts: list[Artifact]


class BuildRow(Shown):
    """A build as lists have it; `size` in bytes."""

    id: int
    environment_id: int
    specification: None
    packages: None
    status: Status
    status_info: str | None
    size: int
    scheduled_on: Moment
    started_on: Moment | None
    ended_on: Moment | None
    build_artifacts: None
    condarium: BuildExtras

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.status in FINAL


class Build(Shown):
    """A build alone; `size` in bytes."""

    id: int
    environment_id: int
    specification: WantedSpecification
    packages: None
    status: Status
    status_info: str | None
    size: int
    scheduled_on: Moment
    started_on: Moment | None
    ended_on: Moment | None
    build_artifacts: list[ArtifactLink]
    condarium: BuildDetails

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.status in FINAL

    def artifact(self, kind: str) -> Artifact | None:
        """What was asked for of that type."""
        return next((item for item in self.condarium.artifacts if item.artifact_type == kind), None)


class PackageExtras(Shown):
    kind: Literal["conda", "pypi"]
    build: str | None
    size: int | None


class BuildPackage(Package):
    """A package in the lock of a build."""

    condarium: PackageExtras


class Image(Shown):
    """`name` is what to give to `docker pull`; `pinned` names the same bytes for ever; `digest` is `sha256:...`."""

    name: str
    digest: str
    pinned: str
