"""Referrers that are there: which build they belong to, and which repository serves them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from condarium.database import images
from condarium.database.garbage import marks
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.database.images import Blob
from condarium.database.tables import (
    Build,
    BuildArtifact,
    Image,
    ImageBlob,
    LockPlatform,
    LockRow,
    Referrer,
    ReferrerBlob,
    ReferrerManifest,
)
from condarium.domain.artifact import IMAGES, ArtifactState
from condarium.domain.image.index import MEMBER_TYPES
from condarium.domain.referrers import BUNDLE
from condarium.domain.referrers.manifest import Rendered, Subject


@dataclass(frozen=True)
class Listed:
    """A referrer's manifest; digests in hex. `tag` is set for what is found by its tag alone."""

    digest: str
    subject: str
    media_type: str
    artifact_type: str
    annotations: dict[str, Any]
    size: int
    tag: str | None = None


@dataclass(frozen=True)
class SubjectOf:
    """A manifest or an index of a build's images, and the platforms that it is for."""

    subject: Subject
    platforms: tuple[str, ...]


# -- what is there --------------------------------------------------------------------------------------------------


def subjects(session: Session, build_id: int) -> list[SubjectOf]:
    """Every manifest and index of the images that are ready of a build, in all encodings, by digest."""
    query = (
        select(LockRow.id, LockRow.platform)
        .join(LockPlatform, LockPlatform.lock_id == LockRow.id)
        .where(LockPlatform.build_id == build_id)
    )
    platforms = {row.id: row.platform for row in session.execute(query)}
    ready = select(BuildArtifact.digest).where(
        BuildArtifact.build_id == build_id,
        BuildArtifact.artifact_type.in_([kind.value for kind in IMAGES]),
        BuildArtifact.state == ArtifactState.READY,
    )
    named = select(ImageBlob.blob_digest).where(ImageBlob.image_digest.in_(ready))
    made = aliased(Image)
    encoded = select(made.lock_id, made.plan).where(or_(made.digest.in_(ready), made.digest.in_(named)))
    rows = session.execute(
        select(Image.digest, Image.media_type, func.length(Image.manifest).label("size"), Image.lock_id)
        .where(tuple_(Image.lock_id, Image.plan).in_(encoded), Image.lock_id.in_(list(platforms)))
        .order_by(Image.digest)
    ).all()
    of_image = {row.digest: platforms[row.lock_id] for row in rows if row.media_type not in MEMBER_TYPES}
    found = []
    for row in rows:
        if row.media_type in MEMBER_TYPES:
            inside = select(ImageBlob.blob_digest).where(ImageBlob.image_digest == row.digest)
            members = [of_image.get(digest) for digest in session.execute(inside).scalars()]
            said = tuple(sorted({member for member in members if member is not None}))
        else:
            said = (of_image[row.digest],)
        found.append(SubjectOf(Subject(row.digest, row.media_type, row.size), said))
    return found


def store(session: Session, build_id: int, rendered: Sequence[Rendered]) -> None:
    """Records the referrers of a build; their blobs are stored.

    What was about the same manifests before and is neither among them nor signed goes: a log that has grown.

    Raises marks.Deleting; see `marks.hold` for what the caller looks at then.
    """
    old = (
        select(Referrer.id)
        .join(ReferrerManifest, ReferrerManifest.digest == Referrer.digest)
        .where(
            Referrer.build_id == build_id,
            Referrer.tag.is_(None),
            ReferrerManifest.artifact_type != BUNDLE,
            ReferrerManifest.subject.in_({one.subject for one in rendered}),
            Referrer.digest.not_in([one.digest for one in rendered]),
        )
    )
    session.execute(delete(Referrer).where(Referrer.id.in_(old)).execution_options(synchronize_session=False))
    if not rendered:
        return
    marks.hold(session, {f"{CONTENT_PREFIX}{digest}" for one in rendered for digest, _, _ in one.named})
    session.execute(insert(ReferrerManifest).values([_manifest(one) for one in rendered]).on_conflict_do_nothing())
    blobs = {
        (one.digest, digest): {
            "manifest_digest": one.digest,
            "blob_digest": digest,
            "media_type": media_type,
            "size": size,
        }
        for one in rendered
        for digest, media_type, size in one.named
    }
    session.execute(insert(ReferrerBlob).values(list(blobs.values())).on_conflict_do_nothing())
    rows = [{"build_id": build_id, "digest": one.digest, "tag": one.tag} for one in rendered]
    session.execute(insert(Referrer).values(rows).on_conflict_do_nothing())


def drop_deleted(session: Session) -> int:
    """Lets go of what belongs to builds that were deleted; then of manifests that belong to none. How many of these."""
    deleted = select(Build.id).where(Build.deleted_on.is_not(None))
    session.execute(delete(Referrer).where(Referrer.build_id.in_(deleted)).execution_options(synchronize_session=False))
    gone = session.execute(
        delete(ReferrerManifest)
        .where(~exists().where(Referrer.digest == ReferrerManifest.digest))
        .returning(ReferrerManifest.digest)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone)


# -- what a repository serves ---------------------------------------------------------------------------------------


def listed(
    session: Session,
    environment_id: int,
    subject: str,
    *,
    artifact_type: str | None = None,
    after: str = "",
    limit: int | None = None,
) -> list[Listed]:
    """What refers to a manifest of an environment, each once, by digest, behind `after`; tagged ones are not listed."""
    query = _LISTED.where(
        ReferrerManifest.subject == subject,
        ReferrerManifest.artifact_type != "",
        ReferrerManifest.digest > after,
        _in(environment_id),
    ).order_by(ReferrerManifest.digest)
    if artifact_type is not None:
        query = query.where(ReferrerManifest.artifact_type == artifact_type)
    return [Listed(*row) for row in session.execute(query.limit(limit))]


def of_build(session: Session, build_id: int) -> list[Listed]:
    """All of one build, tagged ones too: what is copied with its images to another registry."""
    query = (
        _LISTED.add_columns(Referrer.tag)
        .join(Referrer, Referrer.digest == ReferrerManifest.digest)
        .where(Referrer.build_id == build_id)
        .order_by(Referrer.id)
    )
    return [Listed(*row) for row in session.execute(query)]


def manifest_of(session: Session, environment_id: int, digest: str) -> images.Manifest | None:
    """The referrer of that digest, if it belongs to a build of the environment."""
    row = session.execute(
        select(ReferrerManifest.digest, ReferrerManifest.media_type, ReferrerManifest.manifest).where(
            ReferrerManifest.digest == digest, _in(environment_id)
        )
    ).first()
    return images.Manifest(row.digest, row.media_type, row.manifest, "") if row else None


def by_tag(session: Session, environment_id: int, tag: str) -> images.Manifest | None:
    """The newest manifest of one of cosign's tags."""
    row = session.execute(
        select(ReferrerManifest.digest, ReferrerManifest.media_type, ReferrerManifest.manifest)
        .join(Referrer, Referrer.digest == ReferrerManifest.digest)
        .join(Build, Build.id == Referrer.build_id)
        .where(Referrer.tag == tag, Build.environment_id == environment_id, Build.deleted_on.is_(None))
        .order_by(Referrer.id.desc())
        .limit(1)
    ).first()
    return images.Manifest(row.digest, row.media_type, row.manifest, "") if row else None


def tags(session: Session, environment_id: int) -> list[str]:
    """cosign's tags of an environment's images."""
    return [
        str(tag)
        for tag in session.execute(
            select(Referrer.tag)
            .join(Build, Build.id == Referrer.build_id)
            .where(Referrer.tag.is_not(None), Build.environment_id == environment_id, Build.deleted_on.is_(None))
            .distinct()
        ).scalars()
    ]


def blob_of(session: Session, environment_id: int, digest: str) -> Blob | None:
    """The blob of that digest, if a referrer of the environment names it."""
    row = session.execute(
        select(ReferrerBlob.blob_digest, ReferrerBlob.media_type, ReferrerBlob.size)
        .join(ReferrerManifest, ReferrerManifest.digest == ReferrerBlob.manifest_digest)
        .where(ReferrerBlob.blob_digest == digest, _in(environment_id))
        .limit(1)
    ).first()
    return Blob(*row) if row else None


def blobs_of(session: Session, manifest_digest: str) -> list[Blob]:
    """What a referrer's manifest names."""
    query = (
        select(ReferrerBlob.blob_digest, ReferrerBlob.media_type, ReferrerBlob.size)
        .where(ReferrerBlob.manifest_digest == manifest_digest)
        .order_by(ReferrerBlob.blob_digest)
    )
    return [Blob(*row) for row in session.execute(query)]


def previous(session: Session, build: Build) -> tuple[int, int] | None:
    """(id, generation) of the newest completed build of the environment below the generation of this one."""
    row = session.execute(
        select(Build.id, Build.generation)
        .where(
            Build.environment_id == build.environment_id,
            Build.generation < build.generation,
            Build.status == "COMPLETED",
        )
        .order_by(Build.generation.desc())
        .limit(1)
    ).first()
    return (row.id, row.generation) if row else None


_LISTED: Select[Any] = select(
    ReferrerManifest.digest,
    ReferrerManifest.subject,
    ReferrerManifest.media_type,
    ReferrerManifest.artifact_type,
    ReferrerManifest.annotations,
    func.length(ReferrerManifest.manifest),
)


def _manifest(one: Rendered) -> dict[str, Any]:
    return {
        "digest": one.digest,
        "subject": one.subject,
        "media_type": one.media_type,
        "artifact_type": one.artifact_type,
        "annotations": dict(one.annotations),
        "manifest": one.body,
    }


def _in(environment_id: int) -> ColumnElement[bool]:
    return (
        exists()
        .where(
            Referrer.digest == ReferrerManifest.digest,
            Referrer.build_id == Build.id,
            Build.environment_id == environment_id,
            Build.deleted_on.is_(None),
        )
        .correlate(ReferrerManifest)
    )
