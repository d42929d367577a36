"""The use cases of the registry: which image a reference means, and which blobs a repository may serve."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from condarium.database import builds, environments, image_tags, images, on_demand, referrers, repositories
from condarium.database.images import Blob, Manifest
from condarium.database.tables import Build, Environment
from condarium.domain.access import Visible
from condarium.domain.artifact import ArtifactState, ArtifactType
from condarium.domain.build import Status
from condarium.domain.labels import may_be
from condarium.domain.naming import BuildKey
from condarium.domain.tags import (
    Generation,
    HashPrefix,
    Labelled,
    Latest,
    ambiguity,
    choose,
    parse_digest,
    parse_tag,
    twin_of,
)
from condarium.work.demand import demand
from services.registry.faults import BlobUnknown, DigestInvalid, ManifestUnknown, NameUnknown
from services.registry.names import Repository, parse_repository, repository_path


@dataclass(frozen=True)
class Found:
    """The image in all its encodings, all platforms and one."""

    manifests: tuple[Manifest, ...]


@dataclass(frozen=True)
class Pending:
    """It is being made; `what` says so in a sentence without an end. `before` is what serves if it takes too long."""

    build_id: int
    what: str
    before: Found | None = None


def find_image(
    session: Session,
    repository: Repository,
    tag: str,
    *,
    actor: str,
) -> Found | Pending:
    """The image that a tag means. Asks for it, before all others, when it is not made yet.

    Raises NameUnknown, and ManifestUnknown with the reason when the image can never be there as things stand.
    """
    environment = _environment(session, repository)
    kind = ArtifactType.DOCKER_MANIFEST
    build_id, lock_hash = _meant(session, environment, tag)
    # A label's value or an environment's name may end so, too: what the whole tag means stands first.
    plain = twin_of(tag)
    if build_id is None and plain is not None:
        kind = ArtifactType.DOCKER_MANIFEST_ZSTD
        build_id, lock_hash = _meant(session, environment, plain)
    if build_id is None:
        raise ManifestUnknown(
            f"{repository.text} has no tag {tag}; there are latest, build keys, generations (g1), labels "
            "(key-value), hashes of locks and specifications, and each of them with -zstd at its end"
        )
    return image_of(session, builds.load(session, build_id), lock_hash, actor=actor, kind=kind)


def _meant(session: Session, environment: Environment, tag: str) -> tuple[int | None, str | None]:
    """The build that a tag means, and the hash where that is of one platform's lock."""
    wanted = parse_tag(tag)
    lock_hash = None
    build_id = None
    if isinstance(wanted, Latest):
        build_id = image_tags.latest(session, environment)
    elif isinstance(wanted, Generation):
        build_id = image_tags.by_generation(session, environment, wanted.number)
    elif isinstance(wanted, BuildKey):
        build_id = image_tags.by_key(session, environment, str(wanted))
        # A label may look like a build key; a build key stands first.
        if build_id is None:
            build_id = image_tags.by_labels(session, environment, may_be(tag))
    elif isinstance(wanted, Labelled):
        build_id = image_tags.by_labels(session, environment, wanted.labels)
    elif isinstance(wanted, HashPrefix):
        build_id, lock_hash = _by_hash(session, environment, wanted.digits)
    return build_id, lock_hash


def _by_hash(session: Session, environment: Environment, digits: str) -> tuple[int | None, str | None]:
    found = choose(digits, image_tags.candidates(session, environment, digits))
    if len(found) > 1:
        raise ManifestUnknown(ambiguity(digits, found))
    if not found:
        return None, None
    return image_tags.by_hash(session, environment, found[0]), found[0].sha256 if found[0].kind == "lock" else None


def image_of(
    session: Session,
    build: Build,
    lock_hash: str | None,
    *,
    actor: str,
    kind: ArtifactType = ArtifactType.DOCKER_MANIFEST,
) -> Found | Pending:
    """The image of a build, asked for when it is not made yet; `lock_hash` wants that of one platform's lock, `kind`
    is DOCKER_MANIFEST or its twin in zstd.

    Raises ManifestUnknown with the reason when it can never be there as things stand.
    """
    if build.status in (Status.FAILED, Status.CANCELED):
        ended = "failed" if build.status == Status.FAILED else "was canceled"
        raise ManifestUnknown(f"build {build.id} {ended}: {build.status_info or 'no reason is known'}")
    if lock_hash is not None:
        made = images.first_of_lock(session, lock_hash, build.environment_id, kind)
        if made and build.status == Status.COMPLETED:
            return Found(tuple(made))
    answer = demand(session, build, kind, actor=actor, source="registry")
    if answer.state == ArtifactState.FAILED:
        raise ManifestUnknown(f"the image of build {build.id} cannot be made: {answer.reason}")
    if build.status != Status.COMPLETED:
        return Pending(build.id, f"build {build.id} is not completed yet ({build.status_info or build.status.lower()})")
    if answer.state != ArtifactState.READY or answer.digest is None:
        return Pending(build.id, f"the image of build {build.id} is still being made")
    if lock_hash is not None:
        return Found(tuple(images.first_of_lock(session, lock_hash, build.environment_id, kind)))
    return Found((*images.encodings(session, answer.digest), *_one_platform(session, answer.digest)))


def _one_platform(session: Session, digest: str) -> list[Manifest]:
    """For clients that read no index: the image of the first platform that has one, linux-64 before others."""
    members = images.members(session, digest)
    if not members:
        return []
    platform = min((member.platform for member in members), key=lambda name: (name != "linux-64", name))
    return [
        twin for member in members if member.platform == platform for twin in images.encodings(session, member.digest)
    ]


def find_manifest(session: Session, repository: Repository, reference: str) -> Manifest:
    """The manifest of that digest, of an image or of what refers to one.

    Raises ManifestUnknown, DigestInvalid, NameUnknown.
    """
    digest = _digest(reference)
    environment_id = _environment(session, repository).id
    found = images.manifest_of(session, environment_id, digest) or referrers.manifest_of(
        session, environment_id, digest
    )
    if found is None:
        raise ManifestUnknown(f"{repository.text} has no image {reference}")
    return found


def find_blob(session: Session, repository: Repository, reference: str) -> Blob:
    """The blob of that digest, if an image of the repository names it, or what refers to one.

    Raises BlobUnknown, DigestInvalid, NameUnknown.
    """
    digest = _digest(reference)
    environment_id = _environment(session, repository).id
    found = images.blob_of(session, environment_id, digest) or referrers.blob_of(session, environment_id, digest)
    if found is None:
        raise BlobUnknown(f"no image of {repository.text} names the blob {reference}")
    return found


def list_tags(session: Session, repository: Repository) -> list[str]:
    """All tags that can be pulled at once, in the order of their bytes. Raises NameUnknown."""
    environment = _environment(session, repository)
    if repository.asked is not None:
        return on_demand.listed(session, environment)
    return image_tags.listed(session, environment)


def catalog(session: Session, shown: Visible, last: str, default_namespace: str, limit: int) -> list[str]:
    """Repositories behind `last`, of what is shown, as they are written in paths. Raises NameInvalid, NameUnknown."""
    after = None
    if last:
        begun = parse_repository(last, default_namespace)
        after = begun.namespace, begun.environment
    found = repositories.after(session, shown, after, limit=limit)
    return [repository_path(namespace, environment) for namespace, environment in found]


def _digest(reference: str) -> str:
    digest = parse_digest(reference)
    if digest is None:
        raise DigestInvalid(f"{reference[:100]!r} is no digest; sha256: and 64 hex digits are")
    return digest


def _environment(session: Session, repository: Repository) -> Environment:
    found = environments.find(session, repository.namespace, repository.environment)
    if found is None:
        raise NameUnknown(unknown(repository))
    return found


def unknown(repository: Repository) -> str:
    """The same words whether it is not there or not to be known of."""
    return f"there is no environment {repository.environment} in the namespace {repository.namespace}"
