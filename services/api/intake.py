"""Texts on their way in: an environment.yml or a lockfile, to be built or only solved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from condarium.conda import matchspec
from condarium.database import namespaces
from condarium.database.solves import Question
from condarium.domain import specification
from condarium.domain.canonical import canonical_hash
from condarium.domain.lockfile import LockedSpecification, reading
from condarium.domain.naming import check_name
from condarium.domain.specification import Specification
from condarium.work import policy


@dataclass(frozen=True)
class SolveQuestion:
    """What the solver is asked, and the hash of the specification that a build would have."""

    asked: Question
    specification: str


def read(
    text: str, *, is_lockfile: bool, name: str | None, description: str | None, platforms: Sequence[str]
) -> Specification | LockedSpecification:
    """`name` and `description` stand where the file has none. Raises SpecificationError."""
    if is_lockfile:
        return reading.parse(
            text,
            name=name or "",
            description=description or "",
            platform=platforms[0],
            check_match_spec=matchspec.check,
        )
    return specification.parse(
        text,
        check_match_spec=matchspec.check,
        default_name=name or None,
        default_description=description or "",
        default_platforms=platforms,
        may_be_empty=True,
    )


def question(
    session: Session,
    wanted: Specification | LockedSpecification,
    *,
    namespace: str,
    deployment: Mapping[str, Any] = policy.UNKNOWN,
) -> SolveQuestion:
    """What is asked of the solver for `wanted`, with the settings of a namespace; empty means those of all.

    Raises PolicyError, InvalidInput.
    """
    space = namespaces.find(session, check_name("namespace", namespace)) if namespace else None
    settled = policy.settle(session, space, wanted, deployment=deployment)
    decisive = settled.specification.canonical() | {"name": "", "description": ""}
    sha256 = canonical_hash([namespace, decisive, dict(settled.engine)])
    asked = Question(sha256, namespace, settled.specification.to_wire(), settled.engine)
    return SolveQuestion(asked, settled.specification.hash)
