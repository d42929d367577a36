"""Which build of an environment a tag means."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from condarium.database import labels
from condarium.database.tables import Build, BuildArtifact, Environment, LockPlatform, LockRow, Specification
from condarium.domain.artifact import ArtifactState, ArtifactType
from condarium.domain.build import EXCLUDE_NEWER, FINAL, Status
from condarium.domain.naming import encode_tag
from condarium.domain.tags import LONGEST_TAG, ZSTD_SUFFIX, Candidate


def latest(session: Session, environment: Environment) -> int | None:
    """The current build; before there is one, the newest that may become it, or the newest that ended otherwise."""
    if environment.current_build_id is not None:
        return environment.current_build_id
    return _best(session, environment, Build.settings[EXCLUDE_NEWER].astext.is_(None))


def by_generation(session: Session, environment: Environment, number: int) -> int | None:
    return session.execute(select(Build.id).where(*_of(environment), Build.generation == number)).scalar_one_or_none()


def by_key(session: Session, environment: Environment, key: str) -> int | None:
    return session.execute(select(Build.id).where(*_of(environment), Build.key == key)).scalar_one_or_none()


def candidates(session: Session, environment: Environment, digits: str) -> list[Candidate]:
    """The lock and specification hashes of the environment's builds that begin with `digits`."""
    specifications = (
        select(Specification.sha256)
        .join(Build, Build.specification_id == Specification.id)
        .where(*_of(environment), Specification.sha256.startswith(digits))
        .distinct()
    )
    locks = (
        select(LockRow.sha256)
        .join(LockPlatform, LockPlatform.lock_id == LockRow.id)
        .join(Build, Build.id == LockPlatform.build_id)
        .where(*_of(environment), LockRow.sha256.startswith(digits))
        .distinct()
    )
    return [
        *(Candidate("lock", found) for found in session.execute(locks).scalars()),
        *(Candidate("specification", found) for found in session.execute(specifications).scalars()),
    ]


def by_hash(session: Session, environment: Environment, found: Candidate) -> int | None:
    """The newest completed build of a lock or specification, else the newest under way, else the newest of all."""
    if found.kind == "specification":
        chosen = select(Specification.id).where(Specification.sha256 == found.sha256)
        return _best(session, environment, Build.specification_id.in_(chosen))
    chosen = (
        select(LockPlatform.build_id)
        .join(LockRow, LockRow.id == LockPlatform.lock_id)
        .where(LockRow.sha256 == found.sha256)
    )
    return _best(session, environment, Build.id.in_(chosen))


def by_labels(session: Session, environment: Environment, wanted: Sequence[tuple[str, str]]) -> int | None:
    """The newest completed build that has one of the labels, else the newest under way, else the newest of all."""
    return _best(session, environment, Build.id.in_(labels.builds_with(wanted))) if wanted else None


def listed(session: Session, environment: Environment) -> list[str]:
    """Every tag that can be pulled without waiting for a build, sorted as bytes."""
    tags: set[str] = set()
    twins = set(session.execute(_TWINS.where(*_of(environment))).scalars())

    def add(build_id: int, found: Iterable[str]) -> None:
        for tag in found:
            tags.add(tag)
            if build_id in twins and len(tag) + len(ZSTD_SUFFIX) <= LONGEST_TAG:
                tags.add(tag + ZSTD_SUFFIX)

    rows = session.execute(
        select(Build.id, Build.key, Build.generation, Specification.sha256)
        .join(Specification, Specification.id == Build.specification_id)
        .where(*_of(environment), Build.status == Status.COMPLETED)
    )
    for row in rows:
        add(row.id, _tags(row.key, row.generation, row.sha256))
    locks = session.execute(
        select(Build.id, LockRow.sha256)
        .join(LockPlatform, LockPlatform.build_id == Build.id)
        .join(LockRow, LockRow.id == LockPlatform.lock_id)
        .where(*_of(environment), Build.status == Status.COMPLETED)
    )
    for build_id, lock_hash in locks:
        add(build_id, (lock_hash,))
    tags |= labels.tags(session, environment.id)
    if environment.current_build_id is not None:
        add(environment.current_build_id, ("latest",))
    return sorted(tags)


_TWINS = (
    select(Build.id)
    .join(BuildArtifact, BuildArtifact.build_id == Build.id)
    .where(
        BuildArtifact.artifact_type == ArtifactType.DOCKER_MANIFEST_ZSTD.value,
        BuildArtifact.state == ArtifactState.READY,
        Build.status == Status.COMPLETED,
    )
)


def hold_name(session: Session, namespace: str, environment: str) -> None:
    """Until this transaction ends nobody else gets past here with the same name, existing or not."""
    name = func.hashtextextended(f"{namespace}/{environment}", 0)
    session.execute(select(func.pg_advisory_xact_lock(name)))


def ended_seconds_ago(session: Session, build_id: int) -> float | None:
    """How long ago a build ended; None while it has not."""
    query = select(func.extract("epoch", func.clock_timestamp() - Build.ended_on)).where(Build.id == build_id)
    seconds = session.execute(query).scalar_one()
    return None if seconds is None else float(seconds)


def _tags(key: str, generation: int, specification: str) -> Iterator[str]:
    encoded = encode_tag(key)
    if encoded is not None:
        yield encoded
    yield f"g{generation}"
    yield specification


def _of(environment: Environment) -> tuple[ColumnElement[bool], ...]:
    return (Build.environment_id == environment.id, Build.deleted_on.is_(None))


def _best(session: Session, environment: Environment, *where: ColumnElement[bool]) -> int | None:
    rank = case((Build.status == Status.COMPLETED, 0), (Build.status.not_in(FINAL), 1), else_=2)
    query = select(Build.id).where(*_of(environment), *where).order_by(rank, Build.generation.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()
