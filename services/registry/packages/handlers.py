"""What the repositories of a channel serve: packages that locks of the environment name, and the index of them."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.orm import Session

from condarium.database import builds, channel_indexes, environments, image_tags, package_copies
from condarium.database.images import Blob, Manifest
from condarium.database.package_copies import Copy
from condarium.database.tables import Environment
from condarium.domain.artifact import ArtifactState
from condarium.domain.build import Status
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.lock import Record
from condarium.domain.oci_channel import (
    EMPTY,
    EMPTY_DIGEST,
    EMPTY_TYPE,
    REPODATA,
    REPODATA_TAG,
    Parts,
    file_name,
    index_manifest,
    names_behind,
    package_manifest,
    tag,
    tags_of,
)
from condarium.domain.tags import parse_digest
from services.registry.faults import BlobUnknown, DigestInvalid, ManifestUnknown, NameUnknown
from services.registry.names import Repository


@dataclass(frozen=True)
class Part:
    """A repository of a channel: a package of a subdir, or `repodata.json`."""

    channel: Repository
    subdir: str
    name: str

    @property
    def text(self) -> str:
        return f"{self.channel.text}/{self.subdir}/{self.name}"


@dataclass(frozen=True)
class Waits:
    """A packager fetches it; `what` says so in a sentence without an end."""

    what: str


@dataclass(frozen=True)
class Body:
    """A blob that is no object of storage."""

    digest: str
    media_type: str
    body: bytes


@dataclass(frozen=True)
class Ask:
    """Who asks, and whether these bytes (sha256 in hex) are in storage."""

    actor: str
    is_stored: Callable[[str], bool]


def find_manifest(session: Session, part: Part, reference: str, ask: Ask) -> Manifest | Waits:
    """Of a tag or a digest. Raises ManifestUnknown, NameUnknown, DigestInvalid."""
    environment = _environment(session, part)
    digest = _digest(reference) if ":" in reference else None
    if part.name == REPODATA:
        return _find_index(session, environment, part, reference, digest)
    found = _records(session, environment, part)
    if digest is None:
        wanted = [record for record in found if tag(record.version, record.build) == reference]
        if not wanted:
            raise ManifestUnknown(f"no build of {part.channel.arn} has {part.name} {reference} of {part.subdir}")
        return _manifest(session, environment, wanted[0], ask)
    for record in found:
        with suppress(ManifestUnknown):  # that one cannot be fetched; another one may be meant
            made = _manifest(session, environment, record, ask)
            if isinstance(made, Manifest) and made.digest == digest:
                return made
    raise ManifestUnknown(f"{part.text} has no manifest {reference}")


def find_blob(session: Session, part: Part, reference: str, ask: Ask) -> Blob | Body | Waits:
    """An archive, which clients ask for by its lock's sha256 without a manifest, its metadata, or an index.

    Raises BlobUnknown, NameUnknown, DigestInvalid.
    """
    environment = _environment(session, part)
    digest = _digest(reference)
    if digest == EMPTY_DIGEST:
        return Body(digest, EMPTY_TYPE, EMPTY)
    if part.name == REPODATA:
        kept = channel_indexes.by_digest(session, environment.id, part.subdir, digest)
        if kept is not None:
            return Body(kept.digest, kept.media_type, kept.body)
        raise BlobUnknown(f"{part.text} has no index {reference}")
    found = _records(session, environment, part)
    archive = next((record for record in found if record.sha256 == digest), None)
    if archive is not None:
        stands = _parts(session, environment, archive, ask, BlobUnknown)
        return stands if isinstance(stands, Waits) else Blob(digest, "", stands.archive.size)
    for record in found:
        with suppress(BlobUnknown):
            stands = _parts(session, environment, record, ask, BlobUnknown)
            named = None if isinstance(stands, Waits) else stands.find(digest)
            if named is not None:
                return Blob(named.digest, "", named.size)
    raise BlobUnknown(f"no package of {part.text} names the blob {reference}")


def list_tags(session: Session, part: Part) -> list[str]:
    """Sorted as bytes. Raises NameUnknown."""
    environment = _environment(session, part)
    if part.name == REPODATA:
        return [REPODATA_TAG]
    found = _records(session, environment, part)
    if not found:
        raise NameUnknown(f"no build of {part.channel.arn} has {part.name} of {part.subdir}")
    return tags_of(found)


def _find_index(session: Session, environment: Environment, part: Part, reference: str, digest: str | None) -> Manifest:
    build_id = image_tags.latest(session, environment)
    if digest is None and reference != REPODATA_TAG:
        raise ManifestUnknown(f"{part.text} has no tag {reference}; there is {REPODATA_TAG}")
    if build_id is None or builds.load(session, build_id).status != Status.COMPLETED:
        raise ManifestUnknown(f"{part.channel.arn} has no completed build yet")
    encodings = channel_indexes.of_build(session, build_id, part.subdir)
    body = index_manifest([(each.media_type, each.digest, len(each.body)) for each in encodings])
    made = Manifest(hashlib.sha256(body).hexdigest(), OCI_MANIFEST, body, part.subdir)
    if digest is not None and made.digest != digest:
        raise ManifestUnknown(f"{part.text} has no manifest {reference}")
    return made


def _manifest(session: Session, environment: Environment, record: Record, ask: Ask) -> Manifest | Waits:
    parts = _parts(session, environment, record, ask, ManifestUnknown)
    if isinstance(parts, Waits):
        return parts
    body = package_manifest(file_name(record), parts)
    return Manifest(hashlib.sha256(body).hexdigest(), OCI_MANIFEST, body, record.subdir)


def _parts(
    session: Session,
    environment: Environment,
    record: Record,
    ask: Ask,
    unknown: type[ManifestUnknown] | type[BlobUnknown],
) -> Parts | Waits:
    copy = package_copies.demand(session, environment, record, actor=ask.actor)
    if copy.state == ArtifactState.FAILED:
        raise unknown(f"{file_name(record)} cannot be fetched: {copy.reason}")
    if copy.parts is not None and (not copy.rested or _is_there(copy, ask)):
        return copy.parts
    if copy.parts is not None:
        package_copies.lost(session, copy)
    return Waits(f"{file_name(record)} is still being fetched" + (f" ({copy.reason})" if copy.reason else ""))


def _is_there(copy: Copy, ask: Ask) -> bool:
    parts = copy.parts
    return parts is not None and all(ask.is_stored(part.digest) for part in (parts.archive, parts.info, parts.index))


def _records(session: Session, environment: Environment, part: Part) -> list[Record]:
    # Postgres takes no NUL, and no package has one
    names = [] if "\0" in part.name else names_behind(part.name)
    return package_copies.records(session, environment.id, names, part.subdir)


def _environment(session: Session, part: Part) -> Environment:
    found = environments.find(session, part.channel.namespace, part.channel.environment)
    if found is None:
        raise NameUnknown(
            f"there is no environment {part.channel.environment} in the namespace {part.channel.namespace}"
        )
    return found


def _digest(reference: str) -> str:
    digest = parse_digest(reference)
    if digest is None:
        raise DigestInvalid(f"{reference[:100]!r} is no digest; sha256: and 64 hex digits are")
    return digest
