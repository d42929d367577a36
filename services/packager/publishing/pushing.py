"""Sends an image: blobs that are missing, then manifests, then referrers, and tags last of all.

Nothing is remembered of an attempt that ended early: the next one asks the registry what it has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from condarium.database import publications
from condarium.database.publications import Task
from condarium.domain.oci_channel import EMPTY, EMPTY_DIGEST
from condarium.domain.publishing import tags_of
from condarium.errors import InputFault, NotFound
from condarium.oci.connection import Connection, Network
from condarium.oci.push import Counts, Piece, Source, Target, bytes_source, descriptor
from condarium.storage import Blob, blob_key
from services.packager.handlers import Work
from services.packager.publishing.content import Content, Manifest, read_content

#: a registry may take its time to check a large layer that it has got
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class Pushed:
    """What is there now; `digest` in hex is what the tags mean."""

    repository: str
    digest: str
    tags: list[str]
    counts: Counts


def push(work: Work, task: Task, connection: Connection, check: Callable[[], None]) -> Pushed:
    """Brings the image of a publication into its registry; `check` raises when somebody else has taken it over.

    Raises InputFault, WorldFault.
    """
    if task.build.deleted_on is not None:
        raise InputFault(f"build {task.build.id} was deleted", reason="no-such-image")
    if task.digest is None:
        raise InputFault("the image is no longer there; ask for it again", reason="no-such-image")
    repository = task.rule.repository_of(task.namespace, task.environment)
    with work.database.transaction() as session:
        content = read_content(session, task.build.id, task.digest, referrers=task.rule.referrers)
    target = Target(connection, repository, check)
    _put_blobs(work, task, target, content)
    for member in content.members:
        _put_manifest(target, member)
    tags = tags_of(
        task.rule.tags,
        is_current=task.is_current,
        generation=task.build.generation,
        key=task.build.key,
        lock=task.lock,
        labels=task.labels,
    )
    _put_manifest(target, content.image)
    _put_referrers(target, content)
    target.put_manifest(content.image.body, content.image.media_type, tags)
    return Pushed(repository, content.image.digest, tags, target.counts)


def network_of(work: Work) -> Network:
    """As the packager's settings have it; what has no setting is as the process's own environment says."""
    settings = work.settings
    given = {"http": settings.http_proxy, "https": settings.https_proxy}
    proxies = {scheme: address for scheme, address in given.items() if address}
    direct = tuple(host.strip() for host in (settings.no_proxy or "").split(",") if host.strip())
    return Network(proxies or None, direct if proxies else (), settings.ca_bundle, TIMEOUT_SECONDS)


def _put_blobs(work: Work, task: Task, target: Target, content: Content) -> None:
    pieces = {piece.digest: piece for manifest in content.manifests for piece in manifest.blobs}
    with work.database.transaction() as session:
        mounts = publications.mounts(session, task, list(pieces))
    for piece in pieces.values():
        target.put_blob(piece, _opener(work, piece), mounts.get(piece.digest, ()))
    with work.database.transaction() as session:
        publications.pushed(session, task, target.repository, pieces)


def _opener(work: Work, piece: Piece) -> Source:
    if piece.digest == EMPTY_DIGEST:
        return bytes_source(EMPTY)

    def opened() -> Blob:
        try:
            return work.storage.open(blob_key(piece.digest))
        except NotFound:
            raise InputFault(
                f"the bytes of the blob sha256:{piece.digest} are missing in storage; ask for the image again",
                reason="no-such-image",
            ) from None

    return opened


def _put_manifest(target: Target, manifest: Manifest) -> bool:
    """Under its digest; whether the registry lists it as a referrer by itself."""
    if manifest.subject is None and target.has_manifest(manifest.digest, manifest.media_type):
        return False
    references = [f"sha256:{manifest.digest}", *([manifest.tag] if manifest.tag else [])]
    return target.put_manifest(manifest.body, manifest.media_type, references)


def _put_referrers(target: Target, content: Content) -> None:
    """Where the registry has no API for referrers, they are listed under a tag that clients look for."""
    unlisted: dict[str, list[dict[str, object]]] = {}
    for manifest in content.referrers:
        knows = _put_manifest(target, manifest)
        if manifest.subject is not None and manifest.tag is None and not knows:
            named = descriptor(manifest.media_type, manifest.body, **manifest.listed)
            unlisted.setdefault(manifest.subject, []).append(named)
    for subject, descriptors in unlisted.items():
        target.list_in_fallback_tag(subject, descriptors)
