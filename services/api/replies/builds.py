"""Builds, their packages and artifacts, as they are shown."""

from typing import Annotated, Any, Literal

from pydantic import Field

from condarium.domain.artifact import ArtifactState, ArtifactType
from condarium.domain.build import Status
from services.api.replies.envelopes import Moment, Sha256, Shown
from services.api.replies.packages import Package

Seconds = Annotated[dict[str, Any], Field(description="seconds per phase", examples=[{"solve": 0.4, "link": 1.2}])]


class Submitted(Shown):
    build_id: int


class WantedSpecification(Shown):
    """What was asked for; `spec` is the environment.yml, or has `lockfile` where one was sent."""

    id: int
    name: str
    spec: dict[str, Any]
    sha256: Sha256
    created_on: Moment


class ArtifactLink(Shown):
    """An artifact that is ready; `key` is conda-store's name of it in storage."""

    id: int
    artifact_type: ArtifactType
    key: str


class Artifact(Shown):
    """An artifact that was asked for, ready or not."""

    id: int
    artifact_type: ArtifactType
    state: ArtifactState
    reason: str | None
    attempt: int
    digest: str | None
    size: int | None
    ready_on: Moment | None


class BuildExtras(Shown):
    """What Condarium knows of a build beyond conda-store's fields."""

    namespace: str
    environment: str
    generation: int
    key: str
    reason: str | None
    cancel_requested: bool
    deleted_on: Moment | None


class BuildDetails(BuildExtras):
    """What is shown besides of a build alone."""

    prefix: str | None
    labels: Annotated[dict[str, str], Field(examples=[{"git": "3f2a1c9"}])]
    locks: Annotated[dict[str, Sha256], Field(description="the hash of the lock of each platform")]
    seconds: Seconds
    artifacts: list[Artifact]


class BuildRow(Shown):
    """A build in a list: what only a build shown alone has is null."""

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


class Build(Shown):
    """A build with its specification and artifacts."""

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


class PackageExtras(Shown):
    kind: Literal["conda", "pypi"]
    build: str | None
    size: int | None


class BuildPackage(Package):
    """A package in the lock of a build."""

    condarium: PackageExtras
