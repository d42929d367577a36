"""Images by packages: which build answers a pull, and when one is started for it (docs/on-demand.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.orm import Session

from condarium.database import audit, builds, environments, image_tags, namespaces, on_demand, settings
from condarium.database.on_demand import Known, Standing
from condarium.database.settings import Place
from condarium.domain.access import Action
from condarium.domain.build import EXCLUDE_NEWER, FINAL, Status
from condarium.domain.on_demand.tags import ALLOWED, Frozen, end_of, parse_tag
from condarium.domain.settings import Effective, channel_url
from condarium.domain.specification import Specification, parse
from condarium.domain.tags import HashPrefix, ambiguity, choose
from condarium.errors import InvalidInput, NotAuthorized, PolicyError, QuotaExceeded, TooManyRequests
from condarium.http.caller import Caller
from condarium.work import policy
from condarium.work.demand import WAITED_FOR
from condarium.work.submission import submit
from services.registry.faults import Denied, ManifestUnknown, NameInvalid, TooManyBuilds, Unauthorized
from services.registry.handlers import Found, Pending, image_of
from services.registry.names import Repository

#: a failed build is tried again only after this long: docker asks twice for what it cannot get
AGAIN_SECONDS = 30.0

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
        return f"address:{self.address or 'unknown'}"


def find_image(
    session: Session,
    repository: Repository,
    tag: str,
    puller: Puller,
    *,
    deployment: Mapping[str, Any] = policy.UNKNOWN,
) -> Found | Pending:
    """The image that a tag of an on-demand repository means; asks for it when there is none that is fresh.

    Raises ManifestUnknown with the reason when there can be none; NameInvalid, Denied, Unauthorized and TooManyBuilds
    when no build may be started and none has answered before.
    """
    today = datetime.now(UTC).date()
    try:
        wanted = parse_tag(tag, today=today)
    except InvalidInput as error:
        raise ManifestUnknown(f"{repository.text}: {error}") from None
    if isinstance(wanted, HashPrefix):
        return _by_lock(session, repository, wanted.digits, puller)
    day = wanted.day if isinstance(wanted, Frozen) else None
    held = False
    while True:
        environment = environments.find(session, repository.namespace, repository.environment)
        holding = _settings(session, repository, deployment)
        standing = on_demand.standing(session, environment, day) if environment else Standing()
        answer = _answer(session, standing, day, holding, puller)
        if answer is not None:
            return answer
        if held:
            return _start(session, repository, day, holding, standing, puller, deployment)
        # two pulls at the same time start one build: the second looks again when the first has committed
        image_tags.hold_name(session, repository.namespace, repository.environment)
        held = True


def _by_lock(session: Session, repository: Repository, digits: str, puller: Puller) -> Found | Pending:
    environment = environments.find(session, repository.namespace, repository.environment)
    every = image_tags.candidates(session, environment, digits) if environment else []
    found = choose(digits, (candidate for candidate in every if candidate.kind == "lock"))
    if len(found) > 1:
        raise ManifestUnknown(ambiguity(digits, found))
    build_id = image_tags.by_hash(session, environment, found[0]) if environment and found else None
    if build_id is None:
        raise ManifestUnknown(f"{repository.text} has no answer with the lock hash {digits}; {ALLOWED}")
    return _image(session, build_id, puller, found[0].sha256)


def _answer(
    session: Session, standing: Standing, day: date | None, holding: Effective, puller: Puller
) -> Found | Pending | None:
    """What is there or under way; None when a build has to be started."""
    completed, newest = standing.completed, standing.newest
    if completed is not None and (completed.id in puller.waited or _fresh(completed, day, holding)):
        return _image(session, completed.id, puller)
    if newest is None or newest.status == Status.COMPLETED:
        return None
    if newest.status not in FINAL:
        puller.waited.add(newest.id)
        return _meanwhile(session, _image(session, newest.id, puller), completed, puller)
    if newest.id not in puller.waited and (newest.age or 0) >= AGAIN_SECONDS:
        return None
    # what cannot be solved any more is served as it was; what never could be says why
    return _image(session, (completed or newest).id, puller)


def _fresh(completed: Known, day: date | None, holding: Effective) -> bool:
    """A day that was over when it was asked for is answered once and for all."""
    if day is not None and completed.scheduled_on > end_of(day):
        return True
    return (completed.age or 0) < int(holding["on_demand_fresh_seconds"])


def _image(session: Session, build_id: int, puller: Puller, lock_hash: str | None = None) -> Found | Pending:
    return image_of(session, builds.load(session, build_id), lock_hash, actor=puller.caller.name)


def _meanwhile(session: Session, found: Found | Pending, completed: Known | None, puller: Puller) -> Found | Pending:
    """What takes too long is answered with what there was before."""
    if isinstance(found, Found) or completed is None:
        return found
    before = _image(session, completed.id, puller)
    return Pending(found.build_id, found.what, before if isinstance(before, Found) else None)


def _start(
    session: Session,
    repository: Repository,
    day: date | None,
    holding: Effective,
    standing: Standing,
    puller: Puller,
    deployment: Mapping[str, Any],
) -> Found | Pending:
    """Starts a build, if the puller may; else what was there before is served."""
    try:
        with session.begin_nested():
            _may_start(repository, holding, puller)
            build_id = _submit(session, repository, day, holding, puller, deployment)
    except (NotAuthorized, TooManyRequests):
        if standing.completed is None:
            raise
        return _image(session, standing.completed.id, puller)
    puller.waited.add(build_id)
    return _meanwhile(session, _image(session, build_id, puller), standing.completed, puller)


def _may_start(repository: Repository, holding: Effective, puller: Puller) -> None:
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
            f"{repository.namespace} (environment:create is needed)"
        )


def _submit(
    session: Session,
    repository: Repository,
    day: date | None,
    holding: Effective,
    puller: Puller,
    deployment: Mapping[str, Any],
) -> int:
    """The id of the new build. Raises NameInvalid, Denied for what settings or the quota refuse, TooManyBuilds."""
    actor = puller.caller.name
    namespaces.ensure(session, repository.namespace, actor=actor, reserved=True)
    wait = on_demand.start(session, puller.subject, holding["on_demand_builds_per_hour"])
    if wait:
        raise TooManyBuilds(
            f"{repository.text} is not built yet, and {puller.caller.name} has started as many builds by pulls as are "
            f"allowed in an hour ({holding['on_demand_builds_per_hour']}, setting on_demand_builds_per_hour); "
            f"the next one may begin in {round(wait)} seconds",
            retry_after=wait,
        )
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
    )
    return made.build_id


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
        there = {matchspec.wanted(text).name for text in dependencies}
        tools = {matchspec.wanted(text).name: text for text in holding["on_demand_shell_packages"]}
        names = {name for name in tools if name}
        lacking = on_demand.lacking(session, _channels(holding), names)
        dependencies += [text for name, text in tools.items() if name not in there | lacking]
        command = next((name for name in _SHELLS if name in (names - lacking) | there), None)
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


def _channels(holding: Effective) -> set[str]:
    names = holding["on_demand_channels"] or holding["conda_default_channels"]
    return {channel_url(name, holding["conda_channel_alias"]) for name in names}


def _settings(session: Session, repository: Repository, deployment: Mapping[str, Any]) -> Effective:
    space = namespaces.find(session, repository.namespace)
    place = settings.GLOBAL if space is None else Place(space.id, repository.environment)
    return settings.effective(session, place, deployment=deployment)


def note_pull(session: Session, repository: Repository, digest: str) -> None:
    """Whatever is pulled is kept for `keep_on_demand_days` more; `digest` in hex."""
    environment = environments.find(session, repository.namespace, repository.environment)
    build_id = on_demand.build_of_image(session, environment, digest) if environment else None
    if build_id is not None:
        on_demand.pulled(session, build_id)
