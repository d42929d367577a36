"""Settings and quotas at the one way in: what is asked for is settled here, once, and kept with the build."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from condarium.database import namespaces, settings, usage
from condarium.database.settings import Place
from condarium.database.tables import Build, Namespace
from condarium.domain import policy, quota
from condarium.domain.lockfile import LOCKFILE, LockedSpecification, Lockfile
from condarium.domain.policy import Wanted
from condarium.domain.quota import Quota
from condarium.domain.settings import Effective
from condarium.domain.specification import Specification, from_wire

#: what a submission knows of its deployment when nothing is said: the builder's own settings hold then
UNKNOWN: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Settled:
    """A specification as it is built, and what the builder is to go by (`Build.settings`)."""

    specification: Specification | LockedSpecification
    engine: Mapping[str, Any]


def settle(
    session: Session,
    space: Namespace | None,
    specification: Specification | LockedSpecification,
    *,
    deployment: Mapping[str, Any] = UNKNOWN,
) -> Settled:
    """What the settings that hold now make of `specification` in a namespace (None: one that is not there yet).

    Raises PolicyError, SpecificationError.
    """
    found = _effective(session, space, specification.name, deployment)
    if isinstance(specification, LockedSpecification):
        return Settled(policy.apply_to_lockfile(specification, found, read=read), policy.engine(found))
    return Settled(policy.apply(specification, found, read=read), policy.engine(found))


def queue_up(session: Session, namespace: str) -> None:
    """Takes the turn that `admit` waits for. For transactions that hold a build's row when they submit: whoever holds
    both takes the turn first, or two of them would wait for each other."""
    space = namespaces.find(session, namespace)
    if space is not None:
        usage.hold(session, space.id)


def admit(session: Session, space: Namespace, *, deployment: Mapping[str, Any] = UNKNOWN) -> None:
    """Room for one more build, kept until the transaction ends. Raises QuotaExceeded."""
    limits = _quota(session, space, deployment)
    if limits.limits:
        usage.hold(session, space.id)
        quota.check_submission(space.name, limits, usage.of_namespace(session, space.id))


def readmit(session: Session, build: Build, *, deployment: Mapping[str, Any] = UNKNOWN) -> None:
    """Whether a build may be queued again as it is: what was allowed once may not be now.

    Its environment, namespace and specification are loaded; nobody holds its row yet. Raises PolicyError,
    QuotaExceeded.
    """
    space = build.environment.namespace
    check_again(session, build, deployment=deployment)
    limits = _quota(session, space, deployment)
    if limits.limits:
        usage.hold(session, space.id)
        quota.check_start(space.name, limits, usage.of_namespace(session, space.id))


def check_again(session: Session, build: Build, *, deployment: Mapping[str, Any] = UNKNOWN) -> None:
    """Raises PolicyError when the specification of `build`, as it is, would be refused now."""
    name = build.environment.name
    found = _effective(session, build.environment.namespace, name, deployment)
    spec = build.specification.spec
    if LOCKFILE in spec:
        policy.check_lockfile(Lockfile.from_wire(spec[LOCKFILE]), found, read=read)
    else:
        policy.check(from_wire(spec), found, read=read)


def read(text: str) -> Wanted:
    """What a match spec is about."""
    # rattler's parser: only those pay for its memory who have such a setting
    from condarium.conda import matchspec

    return matchspec.wanted(text)


def _effective(session: Session, space: Namespace | None, name: str, deployment: Mapping[str, Any]) -> Effective:
    place = settings.GLOBAL if space is None else Place(space.id, name)
    return settings.effective(session, place, deployment=deployment)


def _quota(session: Session, space: Namespace, deployment: Mapping[str, Any]) -> Quota:
    return usage.quota(settings.effective(session, Place(space.id), deployment=deployment).values)
