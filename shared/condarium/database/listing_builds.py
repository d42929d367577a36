"""One build with everything that is shown of it, and what can be asked of its artifacts and packages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, select
from sqlalchemy.orm import Session

from condarium.database import labels
from condarium.database.tables import (
    Build,
    BuildArtifact,
    Environment,
    LockPackage,
    LockPlatform,
    LockRow,
    Namespace,
    Prefix,
    Specification,
    Store,
)
from condarium.errors import NotFound


@dataclass(frozen=True)
class Detail:
    """`row` is that of `find`; `artifacts` in the order they were asked for; `locks` is a hash per platform.

    `prefix` is the absolute path on the store's hosts, None until the build is completed.
    """

    row: Any
    specification: Any
    artifacts: Sequence[BuildArtifact]
    locks: Mapping[str, str]
    prefix: str | None
    labels: Mapping[str, str]


def has_artifact(build_id: Any, kind: Any) -> ColumnElement[bool]:
    """Whether the build of that column has the artifact, ready to be served."""
    return exists().where(
        BuildArtifact.build_id == build_id, BuildArtifact.artifact_type == kind, BuildArtifact.state == "READY"
    )


def has_package(build_id: Any, name: Any) -> ColumnElement[bool]:
    """Whether a lock of the build of that column has the package."""
    return exists().where(
        LockPlatform.build_id == build_id, LockPackage.lock_id == LockPlatform.lock_id, LockPackage.name == name
    )


def find(session: Session, build_id: int) -> Any:
    """One build, deleted or not. Raises NotFound."""
    row = session.execute(_rows().where(Build.id == build_id)).one_or_none() if 0 < build_id < 2**63 else None
    if row is None:
        raise NotFound("build id does not exist")
    return row


def detail(session: Session, row: Any) -> Detail:
    """What is shown of the build besides `row`, in four statements."""
    specification = session.execute(
        select(Specification.id, Specification.name, Specification.spec, Specification.sha256, Specification.created_on)
        .join(Build, Build.specification_id == Specification.id)
        .where(Build.id == row.id)
    ).one()
    hashes = session.execute(
        select(LockPlatform.platform, LockRow.sha256)
        .join(LockRow, LockRow.id == LockPlatform.lock_id)
        .where(LockPlatform.build_id == row.id)
        .order_by(LockPlatform.platform)
    )
    prefix = f"{row.store_directory}/{row.prefix_path}" if row.prefix_path is not None else None
    locks = {found.platform: found.sha256 for found in hashes}
    return Detail(row, specification, artifacts(session, row.id), locks, prefix, labels.of_build(session, row.id))


def lock_of(build_id: int, platform: str = "") -> Any:
    """The id of one lock of a build, as a subquery: of the platform asked for, else the linked one, else linux-64."""
    query = select(LockPlatform.lock_id).where(LockPlatform.build_id == build_id)
    if platform:
        return query.where(LockPlatform.platform == platform).scalar_subquery()
    linked = (
        select(Prefix.lock_hash).join(Build, Build.prefix_id == Prefix.id).where(Build.id == build_id).scalar_subquery()
    )
    return (
        query.join(LockRow, LockRow.id == LockPlatform.lock_id)
        .order_by(
            LockRow.sha256.is_not_distinct_from(linked).desc(),
            (LockPlatform.platform == "linux-64").desc(),
            LockPlatform.platform,
        )
        .limit(1)
        .scalar_subquery()
    )


def lock_hash(session: Session, build_id: int, platform: str = "") -> str | None:
    """The hash of that lock; None before the build is solved."""
    query = select(LockRow.sha256).where(LockRow.id == lock_of(build_id, platform))
    return session.execute(query).scalar_one_or_none()


def artifacts(session: Session, build_id: int) -> Sequence[BuildArtifact]:
    """All artifacts that were asked for of a build, whatever became of them."""
    query = select(BuildArtifact).where(BuildArtifact.build_id == build_id).order_by(BuildArtifact.id)
    return session.execute(query).scalars().all()


def _rows() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Build.id,
            Build.environment_id,
            Build.key,
            Build.generation,
            Build.status,
            Build.status_info,
            Build.reason,
            Build.attempt,
            Build.size,
            Build.scheduled_on,
            Build.started_on,
            Build.ended_on,
            Build.cancel_requested_at.is_not(None).label("cancel_requested"),
            Build.deleted_on,
            Build.timings,
            Environment.name.label("environment"),
            Namespace.name.label("namespace"),
            Prefix.path.label("prefix_path"),
            Store.directory.label("store_directory"),
        )
        .join(Environment, Environment.id == Build.environment_id)
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .outerjoin(Prefix, and_(Prefix.id == Build.prefix_id, Prefix.deleted_on.is_(None)))
        .outerjoin(Store, Store.id == Prefix.store_id)
    )
