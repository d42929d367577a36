"""What is sent to other registries, for people: rows with what they belong to."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from condarium.database.tables import (
    Build,
    BuildArtifact,
    Environment,
    Namespace,
    Publication,
    PublishRule,
    ReferrerSet,
)
from condarium.domain.artifact import UNFINISHED, ArtifactState, ArtifactType


@dataclass(frozen=True)
class Listed:
    """A row with what it belongs to; `waits_for` says why nobody can push it yet."""

    row: Publication
    rule: str
    environment: str
    generation: int
    waits_for: str | None


def listed(
    session: Session, namespace: Namespace, *, rule: str = "", state: str = "", limit: int = 100
) -> list[Listed]:
    """The newest first, of one rule or of all."""
    query = (
        select(
            Publication,
            PublishRule.name,
            Environment.name.label("environment"),
            Build.generation,
            BuildArtifact.state.label("image"),
            BuildArtifact.reason.label("why"),
            ReferrerSet.state.label("referrers"),
        )
        .join(PublishRule, PublishRule.id == Publication.rule_id)
        .join(Build, Build.id == Publication.build_id)
        .join(Environment, Environment.id == Build.environment_id)
        .outerjoin(
            BuildArtifact,
            and_(BuildArtifact.build_id == Build.id, BuildArtifact.artifact_type == ArtifactType.DOCKER_MANIFEST),
        )
        .outerjoin(ReferrerSet, ReferrerSet.build_id == Build.id)
        .where(PublishRule.namespace_id == namespace.id)
        .order_by(Publication.id.desc())
        .limit(limit)
    )
    if rule:
        query = query.where(PublishRule.name == rule)
    if state:
        query = query.where(Publication.state == state)
    return [
        Listed(row[0], row[1], row.environment, row.generation, _waits_for(row)) for row in session.execute(query).all()
    ]


def _waits_for(row: Any) -> str | None:
    if row[0].state != ArtifactState.REQUESTED:
        return None
    if row.image != ArtifactState.READY:
        return f"the image: {(row.image or 'not asked for').lower()}{f' ({row.why})' if row.why else ''}"
    if row.referrers in UNFINISHED:
        return "the image's referrers"
    return None
