"""What a sha512 names: manifests are hashed by Postgres, blobs by whoever is asked for one."""

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.images import of_environment
from condarium.database.tables import BlobDigest, Image, ImageBlob
from condarium.domain.image.index import MEMBER_TYPES


def manifest_of(session: Session, environment_id: int, sha512: str) -> str | None:
    """The sha256 in hex of the environment's manifest with that sha512."""
    query = select(Image.digest).where(
        func.encode(func.sha512(Image.manifest), "hex") == sha512, of_environment(environment_id)
    )
    return session.execute(query.limit(1)).scalar_one_or_none()


def blob_of(session: Session, sha512: str) -> str | None:
    """The sha256 in hex of the blob with that sha512, if anybody has hashed it."""
    return session.execute(select(BlobDigest.sha256).where(BlobDigest.sha512 == sha512)).scalar_one_or_none()


def unknown(session: Session, environment_id: int) -> list[str]:
    """The sha256 in hex of the environment's blobs whose sha512 nobody knows yet, small ones first."""
    query = (
        select(ImageBlob.blob_digest)
        .join(Image, Image.digest == ImageBlob.image_digest)
        .where(
            Image.media_type.not_in(tuple(MEMBER_TYPES)),
            of_environment(environment_id),
            ~exists().where(BlobDigest.sha256 == ImageBlob.blob_digest),
        )
        .group_by(ImageBlob.blob_digest)
        .order_by(func.min(ImageBlob.size), ImageBlob.blob_digest)
    )
    return list(session.execute(query).scalars())


def add(session: Session, sha256: str, sha512: str) -> None:
    """Two who find out the same are no conflict."""
    session.execute(insert(BlobDigest).values(sha256=sha256, sha512=sha512).on_conflict_do_nothing())
