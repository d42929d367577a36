"""What the referrers of a build say, read in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from condarium.conda.channels import ChannelSettings
from condarium.database import artifacts, builds, logs, referrers
from condarium.database.referrers import SubjectOf
from condarium.database.tables import Build
from condarium.domain.artifact import ArtifactType
from condarium.domain.lock import Lock
from condarium.domain.naming import encode_oci
from condarium.domain.redaction import redact
from condarium.domain.referrers import cosign
from condarium.domain.referrers.provenance import Making
from condarium.domain.sealing import Vault
from condarium.domain.specification import from_wire
from condarium.work import channel_access
from services.packager.handlers import Work

_PAGE = 500


@dataclass(frozen=True)
class Gathered:
    """`before` are the locks of generation `previous`, none when there was none; `log` is without secrets.

    `tagged` holds the manifests that cosign's tags have now.
    """

    build_id: int
    repository: str
    making: Making
    locks: Mapping[str, Lock]
    subjects: Sequence[SubjectOf]
    previous: int | None
    before: Mapping[str, Lock]
    log: str
    channels: ChannelSettings
    tagged: Mapping[str, bytes]

    def locks_of(self, subject: SubjectOf) -> list[Lock]:
        return [self.locks[platform] for platform in subject.platforms]


def gather(session: Session, work: Work, vault: Vault, build_id: int) -> Gathered:
    """Raises WorldFault for a credential that cannot be decrypted."""
    build = builds.load(session, build_id)
    locks = builds.locks(session, build_id)
    namespace, environment = build.environment.namespace.name, build.environment.name
    subjects = referrers.subjects(session, build_id)
    channels = channel_access.for_locks(session, vault, work.channels, namespace=namespace, locks=locks.values())
    previous = referrers.previous(session, build)
    tags = [
        tag
        for each in subjects
        for tag in (cosign.signature_tag(each.subject.digest), cosign.attestation_tag(each.subject.digest))
    ]
    found = {tag: referrers.by_tag(session, build.environment_id, tag) for tag in tags}
    return Gathered(
        build_id=build_id,
        repository=f"{encode_oci(namespace)}/{encode_oci(environment)}",
        making=_making(build, namespace, environment),
        locks=locks,
        subjects=subjects,
        previous=previous[1] if previous else None,
        before=builds.locks(session, previous[0]) if previous else {},
        log=redact(_log(session, work, build), (*work.channels.secrets(), *channels.secrets())),
        channels=channels,
        tagged={tag: manifest.body for tag, manifest in found.items() if manifest is not None},
    )


def _making(build: Build, namespace: str, environment: str) -> Making:
    return Making(
        namespace,
        environment,
        build.generation,
        build.key,
        from_wire(build.specification.spec).to_wire(),
        build.specification.sha256,
        build.started_on,
        build.ended_on,
    )


def _log(session: Session, work: Work, build: Build) -> str:
    """The chunks of all attempts, or the artifact that they were joined into."""
    parts: list[str] = []
    after = 0
    while page := logs.chunks(session, build.id, after=after, limit=_PAGE):
        parts.extend(chunk.text for chunk in page)
        after = page[-1].id
    if parts:
        return "".join(parts)
    kept = artifacts.find(session, build.id, ArtifactType.LOGS)
    if kept is None or kept.key is None or work.storage.stat(kept.key) is None:
        return ""
    with work.storage.open(kept.key) as stored:
        return b"".join(stored).decode()
