"""Every event that Condarium emits, as a frozen class, and the CloudEvents 1.0 envelope it travels in.

The routing key is `<name>.v<version>` (`build.completed.v1`), the CloudEvents type `condarium.<name>.v<version>`.
A breaking change is a new class with a higher version beside the old one; golden files in tests/contracts hold
every version ever shipped. Events only wake: losing or forging one can delay work, never make or lose it.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar

EXCHANGE = "condarium.events"


@dataclass(frozen=True)
class Event:
    """What all events have. `namespace` and `environment` are names, `actor` is who caused it."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[tuple[str, ...]]
    #: consumed by our own services: published `mandatory`, so that a missing queue is noticed
    internal: ClassVar[bool] = False

    namespace: str
    environment: str
    actor: str

    @classmethod
    def routing_key(cls) -> str:
        return f"{cls.name}.v{cls.version}"

    def data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class BuildEvent(Event):
    """`build` is the build's id, `specification` its sha256, `locks` the lock hash per platform once solved."""

    build: int
    generation: int
    specification: str
    locks: Mapping[str, str]


@dataclass(frozen=True)
class BuildQueued(BuildEvent):
    """A build was asked for, or waits for its next attempt."""

    name = "build.queued"
    source = ("api", "watcher", "registry", "builder")
    internal = True


@dataclass(frozen=True)
class BuildStarted(BuildEvent):
    """A builder took the build. `attempt` counts from 1."""

    name = "build.started"
    source = ("builder",)

    attempt: int


@dataclass(frozen=True)
class BuildSolved(BuildEvent):
    """The locks of all platforms are stored; what is rendered from them can be made."""

    name = "build.solved"
    source = ("builder",)
    internal = True


@dataclass(frozen=True)
class BuildCompleted(BuildEvent):
    """The prefix is on disk; `current` says whether the environment points to this build now."""

    name = "build.completed"
    source = ("builder",)

    current: bool


@dataclass(frozen=True)
class BuildFailed(BuildEvent):
    """The build ended without a prefix, for good. `reason` is a kebab-case word, `message` the sentence for people."""

    name = "build.failed"
    source = ("builder",)

    reason: str
    message: str


@dataclass(frozen=True)
class BuildCanceled(BuildEvent):
    """The build was canceled, for good. Also emitted when it is asked to end (`requested` is then true)."""

    name = "build.canceled"
    source = ("api", "builder", "watcher")
    internal = True

    requested: bool


@dataclass(frozen=True)
class EnvironmentUpdated(Event):
    """The environment points to another build, or its description changed."""

    name = "environment.updated"
    source = ("api", "builder")
    internal = True

    build: int | None
    generation: int


@dataclass(frozen=True)
class EnvironmentDeleted(Event):
    """The environment is gone; its name is free again."""

    name = "environment.deleted"
    source = ("api",)
    internal = True


@dataclass(frozen=True)
class EnvironmentReady(BuildEvent):
    """Everything that was asked for of a build is there (or has failed: see `failed`)."""

    name = "environment.ready"
    source = ("packager",)

    failed: tuple[str, ...]


@dataclass(frozen=True)
class ArtifactEvent(Event):
    """`artifact` is a type such as CONDA_PACK, of the build with id `build`."""

    build: int
    artifact: str


@dataclass(frozen=True)
class ArtifactRequested(ArtifactEvent):
    """Somebody wants an artifact that is not there yet."""

    name = "artifact.requested"
    source = ("api", "registry")
    internal = True


@dataclass(frozen=True)
class ArtifactReady(ArtifactEvent):
    """The artifact can be fetched. `digest` is the sha256 of what is served (of the manifest, for an image)."""

    name = "artifact.ready"
    source = ("packager",)

    digest: str
    size: int


@dataclass(frozen=True)
class ArtifactFailed(ArtifactEvent):
    """The artifact could not be made, for good; `message` is the sentence for people."""

    name = "artifact.failed"
    source = ("packager",)

    message: str


@dataclass(frozen=True)
class ImagePublished(Event):
    """A publish rule has sent the image of the build with id `build` to another registry; `digest` is what `tags` mean
    there.
    """

    name = "image.published"
    source = ("packager",)

    build: int
    rule: str
    registry: str
    repository: str
    tags: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class PublishingFailed(Event):
    """A publish rule could not send the image of the build with id `build`, until somebody asks for another try;
    `message` is the sentence for people.
    """

    name = "publishing.failed"
    source = ("packager",)

    build: int
    rule: str
    registry: str
    message: str


@dataclass(frozen=True)
class SpecificationInvalid(Event):
    """A watched file could not be read as a specification; the environment stays as it is."""

    name = "specification.invalid"
    source = ("watcher",)

    path: str
    message: str


EVENTS: dict[str, type[Event]] = {
    cls.routing_key(): cls
    for cls in (
        BuildQueued,
        BuildStarted,
        BuildSolved,
        BuildCompleted,
        BuildFailed,
        BuildCanceled,
        EnvironmentUpdated,
        EnvironmentDeleted,
        EnvironmentReady,
        ArtifactRequested,
        ArtifactReady,
        ArtifactFailed,
        ImagePublished,
        PublishingFailed,
        SpecificationInvalid,
    )
}


def envelope(
    *, event_id: uuid.UUID, routing_key: str, source: str, subject: str, time: datetime, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The CloudEvents 1.0 JSON object; `time` is aware, `subject` is `namespace/environment`."""
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": source,
        "type": f"condarium.{routing_key}",
        "subject": subject,
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


def parse(routing_key: str, data: Mapping[str, Any]) -> Event:
    """The event class filled from `data`; unknown fields are ignored. Raises KeyError for an unknown routing key."""
    cls = EVENTS[routing_key]
    known = {item.name for item in fields(cls)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known
    }
    return cls(**values)
