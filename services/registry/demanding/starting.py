"""Builds that pulls by packages start: who may, how many, and of what specification."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from condarium.database import audit, namespaces, on_demand
from condarium.domain.access import Action
from condarium.domain.build import EXCLUDE_NEWER
from condarium.domain.settings import Effective, channel_url
from condarium.domain.specification import Specification, parse
from condarium.errors import InvalidInput, PolicyError, QuotaExceeded
from condarium.http.caller import Caller
from condarium.work.demand import WAITED_FOR
from condarium.work.submission import submit
from services.registry.faults import Denied, NameInvalid, TooManyBuilds, Unauthorized
from services.registry.names import Repository
from services.registry.rates import network_of

_SHELLS = ("bash", "zsh", "fish", "dash", "tcsh")


@dataclass(frozen=True)
class Puller:
    """One pull of one request. `challenge` is the WWW-Authenticate header that credentials are asked for with.

    `waited` are the builds that it has waited for: whatever becomes of them is its answer.
    """

    caller: Caller
    address: str | None
    challenge: str
    waited: set[int] = field(default_factory=set)

    @property
    def subject(self) -> str:
        """Whose builds are counted."""
        if self.caller.principal.is_authenticated:
            return f"user:{self.caller.name}"
        return f"address:{network_of(self.address or 'unknown')}"


def start(
    session: Session,
    repository: Repository,
    day: date | None,
    holding: Effective,
    puller: Puller,
    deployment: Mapping[str, Any],
) -> int:
    """The id of a new build of what the repository's name asks for; `day` None is now, `holding` the settings there.

    Raises Unauthorized, Denied for what roles, settings or the quota refuse, TooManyBuilds, NameInvalid.
    """
    _check_may(repository, holding, puller)
    actor = puller.caller.name
    namespaces.ensure(session, repository.namespace, actor=actor, reserved=True)
    _count(session, repository, holding, puller)
    try:
        specification, besides = _specification(session, repository, day, holding)
        made = submit(
            session,
            specification,
            namespace=repository.namespace,
            actor=actor,
            source="registry",
            description=f"pulled as {repository.text}",
            priority=WAITED_FOR,
            deployment=deployment,
            besides=besides,
        )
    except (PolicyError, QuotaExceeded) as error:
        raise Denied(f"{repository.text}: {error}") from None
    except InvalidInput as error:
        raise NameInvalid(f"{repository.text}: {error}") from None
    audit.record(
        session,
        principal=actor,
        action=Action.CREATE_ENVIRONMENT,
        resource=repository.arn,
        details={"operation": "pull", "build_id": made.build_id},
        address=puller.address,
    )
    return made.build_id


def _check_may(repository: Repository, holding: Effective, puller: Puller) -> None:
    caller = puller.caller
    if not caller.principal.is_authenticated:
        if holding["on_demand_anonymous"]:
            return
        raise Unauthorized(
            f"{repository.text} is not built yet, and a pull without login starts no build here; log in with a token "
            "as the password (docker login), or pull what others have pulled",
            puller.challenge,
        )
    if not caller.may(Action.CREATE_ENVIRONMENT, repository.namespace, repository.environment):
        raise Denied(
            f"{repository.text} is not built yet, and {caller.name} may not start builds in the namespace "
            f"{repository.namespace} ({Action.CREATE_ENVIRONMENT} is needed)"
        )


def _count(session: Session, repository: Repository, holding: Effective, puller: Puller) -> None:
    allowed = holding["on_demand_builds_per_hour"]
    wait = on_demand.start(session, puller.subject, allowed)
    if wait:
        raise TooManyBuilds(
            f"{repository.text} is not built yet, and {puller.caller.name} has started as many builds by pulls as are "
            f"allowed in an hour ({allowed}, setting on_demand_builds_per_hour); the next one may begin in "
            f"{round(wait)} seconds",
            retry_after=wait,
        )


def _specification(
    session: Session, repository: Repository, day: date | None, holding: Effective
) -> tuple[Specification, dict[str, Any]]:
    """What is submitted, and what is kept with it. Raises InvalidInput."""
    # rattler's parser: only those who pull by packages pay for its memory
    from condarium.conda import matchspec

    asked = repository.asked
    assert asked is not None
    dependencies = list(asked.packages)
    besides: dict[str, Any] = {}
    if asked.shell:
        names = {matchspec.wanted(text).name for text in dependencies}
        tools = _tools(session, holding)
        dependencies += [text for name, text in tools.items() if name not in names]
        command = next((name for name in _SHELLS if name in tools or name in names), None)
        if command is not None:
            besides["image_command"] = [command]
    if day is not None:
        besides[EXCLUDE_NEWER] = day.isoformat()
    text = {
        "name": repository.environment,
        "channels": list(holding["on_demand_channels"]),
        "dependencies": dependencies,
        **({"platforms": [asked.platform]} if asked.platform else {}),
    }
    # those of a setting may be directories of the builders
    return parse(json.dumps(text), check_match_spec=matchspec.check, local_channels=True), besides


def _tools(session: Session, holding: Effective) -> dict[str, str]:
    """The match specs that `shell` adds, by name, without those that the channels are known not to have."""
    from condarium.conda import matchspec

    wanted = {name: text for text in holding["on_demand_shell_packages"] if (name := matchspec.wanted(text).name)}
    channels = holding["on_demand_channels"] or holding["conda_default_channels"]
    urls = {channel_url(name, holding["conda_channel_alias"]) for name in channels}
    lacking = on_demand.lacking(session, urls, wanted)
    return {name: text for name, text in wanted.items() if name not in lacking}
