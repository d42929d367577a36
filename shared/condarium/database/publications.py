"""Images that rules send to other registries: asked for when they are there, each a claimable row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database import labels, leases, outcomes
from condarium.database.publish_rules import as_rule
from condarium.database.tables import (
    Build,
    BuildArtifact,
    Environment,
    LockPlatform,
    LockRow,
    Namespace,
    Publication,
    PublishRule,
    PushedBlob,
    ReferrerSet,
)
from condarium.domain.artifact import UNFINISHED, ArtifactState, ArtifactType
from condarium.domain.build import Status
from condarium.domain.publishing import Rule
from condarium.errors import Conflict, NotFound

#: woken when there may be something to push
CHANNEL = "condarium_publications"
#: how many repositories a blob may be mounted from are tried
_MOUNTS = 3

_IMAGE_READY = exists().where(
    BuildArtifact.build_id == Publication.build_id,
    BuildArtifact.artifact_type == ArtifactType.DOCKER_MANIFEST,
    BuildArtifact.state == ArtifactState.READY,
)
_REFERRERS_UNFINISHED = exists().where(ReferrerSet.build_id == Publication.build_id, ReferrerSet.state.in_(UNFINISHED))
_WITHOUT_REFERRERS = exists().where(PublishRule.id == Publication.rule_id, PublishRule.referrers.is_(False))

CLAIMABLE = leases.Claimable(
    table=Publication,
    ready=and_(
        Publication.state == ArtifactState.REQUESTED, _IMAGE_READY, or_(~_REFERRERS_UNFINISHED, _WITHOUT_REFERRERS)
    ),
    running=Publication.state == ArtifactState.MAKING,
    order=(Publication.id,),
    values={"state": ArtifactState.MAKING.value, "is_stale": False},
)


@dataclass(frozen=True)
class Task:
    """What a claim is about. `digest` in hex is that of the image, `lock` the hash of its main platform's lock."""

    rule_name: str
    rule: Rule
    namespace: str
    namespace_id: int
    environment: str
    build: Build
    digest: str | None
    lock: str
    is_current: bool
    labels: Mapping[str, str]


# -- asking ---------------------------------------------------------------------------------------------------------


def expect(session: Session, build_id: int) -> bool:
    """Asks for a build that is completed by all rules that fit it; whether that is news. In the transaction that
    completes it, or makes something of it.
    """
    rules = session.execute(
        select(PublishRule, Environment.name)
        .join(Environment, Environment.namespace_id == PublishRule.namespace_id)
        .join(Build, Build.environment_id == Environment.id)
        .where(Build.id == build_id, Build.status == Status.COMPLETED, Build.deleted_on.is_(None))
    ).all()
    fitting = [row.id for row, environment in rules if as_rule(row).fits(environment)]
    if not fitting:
        return False
    made = session.execute(
        insert(Publication)
        .values([{"rule_id": rule_id, "build_id": build_id} for rule_id in sorted(fitting)])
        .on_conflict_do_nothing(index_elements=["rule_id", "build_id"])
        .returning(Publication.id)
    ).all()
    wake(session)
    return bool(made)


def wake(session: Session) -> None:
    """Something may have become ready to be pushed, when this transaction ends."""
    session.execute(select(func.pg_notify(CHANNEL, "")))


def expect_current(session: Session, rule: PublishRule) -> list[int]:
    """A new or changed rule: asks for the current build of each environment that fits. Returns the ids of builds."""
    rows = session.execute(
        select(Environment.name, Environment.current_build_id)
        .where(
            Environment.namespace_id == rule.namespace_id,
            Environment.deleted_on.is_(None),
            Environment.current_build_id.is_not(None),
        )
        .order_by(Environment.id)
    ).all()
    wanted = [row.current_build_id for row in rows if as_rule(rule).fits(row.name)]
    if wanted:
        session.execute(
            insert(Publication)
            .values([{"rule_id": rule.id, "build_id": build_id} for build_id in wanted])
            .on_conflict_do_nothing(index_elements=["rule_id", "build_id"])
        )
        _again(session, [Publication.rule_id == rule.id, Publication.build_id.in_(wanted)])
    return wanted


def again(session: Session, build_id: int) -> None:
    """What it is called has changed, `latest` say: what was pushed of the build is pushed once more."""
    _again(session, [Publication.build_id == build_id])


def retry(session: Session, namespace: Namespace, publication_id: int) -> Publication:
    """A person asks for another try; attempts count anew. Raises NotFound, Conflict while it is under way."""
    row = session.execute(
        select(Publication)
        .join(PublishRule, PublishRule.id == Publication.rule_id)
        .where(Publication.id == publication_id, PublishRule.namespace_id == namespace.id)
        .with_for_update(of=Publication)
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("publication does not exist")
    if row.state == ArtifactState.MAKING:
        raise Conflict(f"publication {row.id} is being pushed just now")
    outcomes.reset(row)
    session.flush()
    wake(session)
    return row


def _again(session: Session, where: list[Any]) -> None:
    rows = session.execute(select(Publication).where(*where).order_by(Publication.id).with_for_update()).scalars()
    for row in rows:
        if row.state == ArtifactState.MAKING:
            row.is_stale = True
        else:
            outcomes.reset(row)
    session.flush()
    wake(session)


# -- the packager's -------------------------------------------------------------------------------------------------


def load_claimed(session: Session, held: leases.Claim) -> Task:
    """What a claim of this transaction is about."""
    query = (
        select(PublishRule, Build, Environment, Namespace)
        .select_from(Publication)
        .join(PublishRule, PublishRule.id == Publication.rule_id)
        .join(Build, Build.id == Publication.build_id)
        .join(Environment, Environment.id == Build.environment_id)
        .join(Namespace, Namespace.id == Environment.namespace_id)
        .where(Publication.id == held.id)
    )
    rule, build, environment, namespace = session.execute(query).one()
    digest = session.execute(
        select(BuildArtifact.digest).where(
            BuildArtifact.build_id == build.id,
            BuildArtifact.artifact_type == ArtifactType.DOCKER_MANIFEST,
            BuildArtifact.state == ArtifactState.READY,
        )
    ).scalar_one_or_none()
    locks = session.execute(
        select(LockPlatform.platform, LockRow.sha256)
        .join(LockRow, LockRow.id == LockPlatform.lock_id)
        .where(LockPlatform.build_id == build.id)
    ).all()
    main = min(locks, key=lambda row: (row.platform != "linux-64", row.platform), default=None)
    return Task(
        rule_name=rule.name,
        rule=as_rule(rule),
        namespace=namespace.name,
        namespace_id=namespace.id,
        environment=environment.name,
        build=build,
        digest=digest,
        lock=main.sha256 if main else "",
        is_current=environment.current_build_id == build.id and environment.deleted_on is None,
        labels=labels.of_build(session, build.id),
    )


def mounts(session: Session, task: Task, digests: Sequence[str]) -> dict[str, list[str]]:
    """Which repositories over there got these blobs from the same namespace, the last ones first."""
    rows = session.execute(
        select(PushedBlob.digest, PushedBlob.repository)
        .where(
            PushedBlob.registry_url == task.rule.registry,
            PushedBlob.digest.in_(digests),
            PushedBlob.namespace_id == task.namespace_id,
        )
        .order_by(PushedBlob.pushed_on.desc())
    )
    found: dict[str, list[str]] = {}
    for digest, repository in rows:
        known = found.setdefault(digest, [])
        if len(known) < _MOUNTS:
            known.append(repository)
    return found


def pushed(session: Session, task: Task, repository: str, digests: Iterable[str]) -> None:
    """These blobs are in that repository now."""
    rows = [
        {
            "registry_url": task.rule.registry,
            "digest": digest,
            "repository": repository,
            "namespace_id": task.namespace_id,
        }
        for digest in sorted(set(digests))
    ]
    if rows:
        session.execute(
            insert(PushedBlob)
            .values(rows)
            .on_conflict_do_update(
                index_elements=["registry_url", "digest", "repository", "namespace_id"],
                set_={"pushed_on": func.clock_timestamp()},
            )
        )


def ready(
    session: Session,
    held: leases.Claim,
    *,
    repository: str,
    digest: str,
    tags: Sequence[str],
    counts: Mapping[str, int],
) -> None:
    """It is there; to be pushed once more when it was asked for meanwhile. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.repository, row.digest, row.tags, row.counts = repository, digest, list(tags), dict(counts)
    row.reason, row.ready_on = None, session.execute(select(func.clock_timestamp())).scalar_one()
    if row.is_stale:
        outcomes.reset(row)
        wake(session)
        return
    row.state = ArtifactState.READY.value
    leases.release(row)


def fail(session: Session, held: leases.Claim, message: str) -> None:
    """Final, until a person asks for a retry. Raises LeaseLost."""
    row = leases.guard(session, CLAIMABLE, held)
    row.state, row.reason = ArtifactState.FAILED.value, message
    leases.release(row)


def depth(session: Session) -> int:
    """Images that wait to be pushed."""
    return session.execute(
        select(func.count()).select_from(Publication).where(Publication.state == ArtifactState.REQUESTED)
    ).scalar_one()
