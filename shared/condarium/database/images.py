"""Images: manifests in every encoding, and which repository may serve what."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, or_, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from condarium.database.garbage import marks
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.database.tables import (
    Build,
    BuildArtifact,
    Image,
    ImageBlob,
    LockRow,
    Referrer,
    ReferrerManifest,
)
from condarium.domain.artifact import IMAGES, ArtifactState, ArtifactType
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.image.index import MEMBER_TYPES


@dataclass(frozen=True)
class Blob:
    """What a manifest names; `digest` in hex, `size` in bytes."""

    digest: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """`digest` in hex of `body`; `platform` is the lock's, of an index that of its first image."""

    digest: str
    media_type: str
    body: bytes
    platform: str


@dataclass(frozen=True)
class Rendering:
    """A manifest to be recorded, with the blobs (or manifests) that it names."""

    media_type: str
    digest: str
    manifest: bytes
    config_digest: str
    blobs: tuple[Blob, ...]


def store(session: Session, renderings: Iterable[Rendering], *, lock_hash: str, plan: str, size: int) -> None:
    """Records an image in all its encodings; its blobs are stored. `size` in bytes of all layers.

    An index has the lock of its first image. Recording twice is harmless: lock, plan and media type decide the bytes.

    Raises marks.Deleting; see `marks.hold` for what the caller looks at then.
    """
    marks.clear_of_lock(session, marks.IMAGES, lock_hash)
    lock_id = session.execute(select(LockRow.id).where(LockRow.sha256 == lock_hash)).scalar_one()
    every = list(renderings)
    session.execute(
        insert(Image)
        .values(
            [
                {
                    "digest": one.digest,
                    "lock_id": lock_id,
                    "plan": plan,
                    "media_type": one.media_type,
                    "manifest": one.manifest,
                    "config_digest": one.config_digest,
                    "size": size,
                }
                for one in every
            ]
        )
        .on_conflict_do_nothing()
    )
    rows = {
        (one.digest, blob.digest): {
            "image_digest": one.digest,
            "blob_digest": blob.digest,
            "media_type": blob.media_type,
            "size": blob.size,
        }
        for one in every
        for blob in one.blobs
    }
    marks.hold(session, {f"{CONTENT_PREFIX}{blob_digest}" for _, blob_digest in rows})
    session.execute(insert(ImageBlob).values(list(rows.values())).on_conflict_do_nothing())


def encodings(session: Session, digest: str) -> list[Manifest]:
    """The image of that digest in all its media types; empty when it is not known."""
    twin = aliased(Image)
    query = (
        _MANIFEST.join(twin, (twin.lock_id == Image.lock_id) & (twin.plan == Image.plan))
        .where(twin.digest == digest)
        .order_by(Image.media_type)
    )
    return [Manifest(*row) for row in session.execute(query)]


def members(session: Session, digest: str) -> list[Manifest]:
    """The images that an index names, in all their media types; empty for what is no index."""
    query = (
        _MANIFEST.join(ImageBlob, ImageBlob.blob_digest == Image.digest)
        .where(ImageBlob.image_digest == digest)
        .order_by(Image.digest)
    )
    return [Manifest(*row) for row in session.execute(query)]


@dataclass(frozen=True)
class Made:
    """An image that is there: digests by media type, lengths of the manifests, bytes of its layers, and what its OCI
    manifest is annotated with.
    """

    digests: Mapping[str, str]
    lengths: Mapping[str, int]
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)


def find(session: Session, lock_hash: str, plan: str) -> Made | None:
    """What is made of a lock by a plan."""
    marks.clear_of_lock(session, marks.IMAGES, lock_hash)
    query = (
        select(Image.media_type, Image.digest, Image.manifest, Image.size)
        .join(LockRow, LockRow.id == Image.lock_id)
        .where(LockRow.sha256 == lock_hash, Image.plan == plan)
    )
    rows = session.execute(query).all()
    if not rows:
        return None
    return made_of([(row.media_type, row.digest, row.manifest) for row in rows], rows[0].size)


def made_of(manifests: Iterable[tuple[str, str, bytes]], size: int) -> Made:
    """Of (media type, digest, body) each; `size` in bytes of all layers."""
    every = list(manifests)
    annotations = next((json.loads(body).get("annotations") for kind, _, body in every if kind == OCI_MANIFEST), None)
    return Made(
        {media_type: digest for media_type, digest, _ in every},
        {media_type: len(body) for media_type, _, body in every},
        size,
        annotations or {},
    )


def first_of_lock(session: Session, lock_hash: str, environment_id: int, kind: ArtifactType) -> list[Manifest]:
    """The oldest image of one platform's lock that a build of the environment has, in all its encodings: what a lock
    hash names stays the same. `kind` is DOCKER_MANIFEST or its twin in zstd.
    """
    index = aliased(ImageBlob)
    query = (
        select(Image.digest)
        .join(LockRow, LockRow.id == Image.lock_id)
        .outerjoin(index, index.blob_digest == Image.digest)
        .join(BuildArtifact, or_(BuildArtifact.digest == Image.digest, BuildArtifact.digest == index.image_digest))
        .join(Build, Build.id == BuildArtifact.build_id)
        .where(
            LockRow.sha256 == lock_hash,
            Image.media_type.not_in(tuple(MEMBER_TYPES)),
            BuildArtifact.artifact_type == kind.value,
            BuildArtifact.state == ArtifactState.READY,
            Build.environment_id == environment_id,
        )
        .order_by(Image.created_on, Image.digest)
        .limit(1)
    )
    digest = session.execute(query).scalar_one_or_none()
    return encodings(session, digest) if digest else []


def manifest_of(session: Session, environment_id: int, digest: str) -> Manifest | None:
    """The manifest with that digest, if an image of the environment has it."""
    row = session.execute(_MANIFEST.where(Image.digest == digest, of_environment(environment_id))).first()
    return Manifest(*row) if row else None


def blob_of(session: Session, environment_id: int, digest: str) -> Blob | None:
    """The blob with that digest, if an image of the environment names it."""
    row = session.execute(
        select(ImageBlob.blob_digest, ImageBlob.media_type, ImageBlob.size)
        .join(Image, Image.digest == ImageBlob.image_digest)
        .where(
            ImageBlob.blob_digest == digest,
            Image.media_type.not_in(tuple(MEMBER_TYPES)),
            of_environment(environment_id),
        )
        .limit(1)
    ).first()
    return Blob(*row) if row else None


_MANIFEST = select(Image.digest, Image.media_type, Image.manifest, LockRow.platform).join(
    LockRow, LockRow.id == Image.lock_id
)


def of_environment(environment_id: int) -> ColumnElement[bool]:
    """Whether an image is one that a build of the environment has got, in whatever encoding: recorded at the build, of
    one platform of it, or the subject of one of its referrers.

    The lock alone does not tell: another plan (base, labels, user, command) of the same lock is somebody else's image.
    """
    of = (Build.environment_id == environment_id, Build.deleted_on.is_(None))
    recorded, twin, member = aliased(Image), aliased(Image), aliased(Image)
    at_builds = (
        select(twin.digest)
        .join(recorded, _same_image(twin, recorded))
        .join(BuildArtifact, BuildArtifact.digest == recorded.digest)
        .join(Build, Build.id == BuildArtifact.build_id)
        .where(*of, BuildArtifact.artifact_type.in_([kind.value for kind in IMAGES]))
    )
    of_platforms = (
        select(member.digest)
        .join(ImageBlob, ImageBlob.blob_digest == member.digest)
        .join(twin, twin.digest == ImageBlob.image_digest)
        .join(recorded, _same_image(twin, recorded))
        .join(BuildArtifact, BuildArtifact.digest == recorded.digest)
        .join(Build, Build.id == BuildArtifact.build_id)
        .where(
            *of,
            BuildArtifact.artifact_type.in_([kind.value for kind in IMAGES]),
            recorded.media_type.in_(tuple(MEMBER_TYPES)),
        )
    )
    # what was made before the artifact was made anew by other settings is known by what refers to it
    signed = (
        select(ReferrerManifest.subject)
        .join(Referrer, Referrer.digest == ReferrerManifest.digest)
        .join(Build, Build.id == Referrer.build_id)
        .where(*of)
    )
    return Image.digest.in_(union_all(at_builds, of_platforms, signed))


def _same_image(one: type[Image], other: type[Image]) -> ColumnElement[bool]:
    """In another encoding, or in the same."""
    return and_(one.lock_id == other.lock_id, one.plan == other.plan)
