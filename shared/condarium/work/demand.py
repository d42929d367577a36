"""Demand for an artifact: somebody waits for it now, at the gateway or at the registry."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from condarium.database import artifacts
from condarium.database.tables import Build, BuildArtifact
from condarium.domain.artifact import ArtifactState, ArtifactType

#: before everything that is made without being asked
WAITED_FOR = 10


@dataclass(frozen=True)
class Answer:
    """How an artifact stands; `reason` is why it failed, or what is tried again."""

    state: ArtifactState
    reason: str | None
    digest: str | None
    size: int | None
    key: str | None


def demand(session: Session, build: Build, artifact_type: ArtifactType, *, actor: str, source: str) -> Answer:
    """Asks for an artifact of a build (`builds.load`) with raised priority, and says how it stands.

    Made ones are answered at once, failed ones too: see `again`.
    """
    known = artifacts.find(session, build.id, artifact_type)
    if known is None or (
        known.state not in (ArtifactState.READY, ArtifactState.FAILED) and known.priority < WAITED_FOR
    ):
        known = artifacts.request(session, build, artifact_type, actor=actor, source=source, priority=WAITED_FOR)
    return _answer(known)


def again(session: Session, build: Build, artifact_type: ArtifactType, *, actor: str, source: str) -> Answer:
    """Another try of a failed artifact. Raises Conflict unless it has failed."""
    return _answer(artifacts.retry(session, build, artifact_type, actor=actor, source=source))


def _answer(row: BuildArtifact) -> Answer:
    return Answer(ArtifactState(row.state), row.reason, row.digest, row.size, row.key)
