"""The use cases of the gateway: who may, then the one thing that is done. No framework."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from condarium import metrics
from condarium.database import artifacts, builds, environments, listing_builds, logs, namespaces
from condarium.database import labels as label_rows
from condarium.database.logs import Chunk
from condarium.database.tables import Build
from condarium.domain.access import Action
from condarium.domain.artifact import ArtifactState, ArtifactType
from condarium.domain.build import FINAL, Status
from condarium.domain.labels import check_labels
from condarium.domain.naming import check_name
from condarium.errors import Conflict, InvalidInput, NotFound
from condarium.http.caller import Caller
from condarium.work import demand, policy, submission
from condarium.work.demand import Answer
from condarium.work.submission import Submitted
from services.api import intake

SOURCE = "api"


def submit(
    session: Session,
    caller: Caller,
    text: str,
    *,
    namespace: str | None,
    name: str | None,
    description: str | None,
    platforms: Sequence[str],
    is_lockfile: bool = False,
    labels: Mapping[str, str] = MappingProxyType({}),
    deployment: Mapping[str, Any] = policy.UNKNOWN,
) -> Submitted:
    """Asks for a build of an environment.yml or a lockfile. `name` and `description` stand where the file has none.

    Raises InvalidInput for what is wrong with it or not allowed by a setting, NotAuthorized, QuotaExceeded.
    """
    wanted_labels = check_labels(labels)
    space = check_name("namespace", namespace or caller.primary_namespace)
    wanted = intake.read(text, is_lockfile=is_lockfile, name=name, description=description, platforms=platforms)
    caller.require(Action.CREATE_ENVIRONMENT, space, wanted.name)
    if namespaces.find(session, space) is None:
        caller.require(Action.CREATE_NAMESPACE, space)
    made = submission.submit(session, wanted, namespace=space, actor=caller.name, source=SOURCE, deployment=deployment)
    label_rows.put(session, made.build_id, wanted_labels, actor=caller.name)
    metrics.SUBMISSIONS.labels(SOURCE).inc()
    return made


def update_environment(
    session: Session, caller: Caller, namespace: str, name: str, *, build_id: int | None, description: str | None
) -> None:
    """Points the environment to another of its builds (rollback too), or describes it anew.

    Raises NotAuthorized, InvalidInput in conda-store's words.
    """
    caller.require(Action.UPDATE_ENVIRONMENT, namespace, name)
    environment = environments.find(session, namespace, name, lock=True)
    if environment is None:
        raise InvalidInput(f"environment namespace={namespace} name={name} does not exist")
    if build_id is not None:
        try:
            build = builds.load(session, build_id)
        except NotFound:
            raise InvalidInput(f"build id={build_id} does not exist") from None
        environments.roll_back(session, environment, build, actor=caller.name)
    if description is not None and description != environment.description:
        environments.describe(session, environment, description, actor=caller.name)


def delete_environment(session: Session, caller: Caller, namespace: str, name: str) -> None:
    """Raises NotAuthorized, InvalidInput when there is none."""
    caller.require(Action.DELETE_ENVIRONMENT, namespace, name)
    environment = environments.find(session, namespace, name, lock=True)
    if environment is None:
        raise InvalidInput(f"environment namespace={namespace} name={name} does not exist")
    environments.delete(session, environment, actor=caller.name)


def find_build(session: Session, caller: Caller, build_id: int, action: Action = Action.READ_BUILD) -> Any:
    """A row of `listing_builds`, deleted or not. Builds are looked up first: raises NotFound, then NotAuthorized."""
    row = listing_builds.find(session, build_id)
    caller.require(action, row.namespace, row.environment)
    return row


def load_build(session: Session, caller: Caller, build_id: int, action: Action) -> Build:
    """The build's own row, locked, to be changed. Raises NotFound, NotAuthorized."""
    find_build(session, caller, build_id, action)
    return builds.load(session, build_id, lock=True)


def build_again(
    session: Session, caller: Caller, build_id: int, *, deployment: Mapping[str, Any] = policy.UNKNOWN
) -> Submitted:
    """A new build of the same specification. Raises NotFound, NotAuthorized, PolicyError, QuotaExceeded."""
    find_build(session, caller, build_id, Action.CREATE_ENVIRONMENT)
    made = submission.submit_again(
        session, builds.load(session, build_id), actor=caller.name, source=SOURCE, deployment=deployment
    )
    metrics.SUBMISSIONS.labels(SOURCE).inc()
    return made


def cancel_build(session: Session, caller: Caller, build_id: int) -> None:
    """Raises NotFound, NotAuthorized, Conflict when it has ended."""
    builds.cancel(session, load_build(session, caller, build_id, Action.CANCEL_BUILD), actor=caller.name)


def label_build(session: Session, caller: Caller, build_id: int, labels: Mapping[str, str]) -> None:
    """Gives a build these labels and no others; tags of its image go and come with them.

    Raises NotFound, NotAuthorized, InvalidInput.
    """
    find_build(session, caller, build_id, Action.UPDATE_ENVIRONMENT)
    wanted = check_labels(labels)
    builds.load(session, build_id, lock=True)
    label_rows.put(session, build_id, wanted, actor=caller.name)


def delete_build(session: Session, caller: Caller, build_id: int) -> None:
    """An environment that points to the build points nowhere then.

    Raises NotFound, NotAuthorized, InvalidInput before it is completed or failed.
    """
    find_build(session, caller, build_id, Action.DELETE_BUILD)
    # Who locks both locks the environment first.
    environment = environments.lock_row(session, builds.load(session, build_id).environment_id)
    build = builds.load(session, build_id, lock=True)
    builds.delete(session, build)
    if environment.current_build_id == build.id:
        environments.point_nowhere(session, environment, actor=caller.name)


def retry_build(
    session: Session, caller: Caller, build_id: int, *, deployment: Mapping[str, Any] = policy.UNKNOWN
) -> None:
    """Another try of a failed or canceled build.

    Raises NotFound, NotAuthorized, Conflict, PolicyError, QuotaExceeded.
    """
    find_build(session, caller, build_id, Action.CREATE_ENVIRONMENT)
    policy.readmit(session, builds.load(session, build_id), deployment=deployment)
    builds.retry(session, load_build(session, caller, build_id, Action.CREATE_ENVIRONMENT), actor=caller.name)


def current_build(session: Session, caller: Caller, namespace: str, name: str) -> int:
    """The build that the environment points to. Raises NotAuthorized, NotFound."""
    caller.require(Action.READ_ENVIRONMENT, namespace, name)
    found = environments.load(session, namespace, name)
    if found.current_build_id is None:
        raise NotFound(f"environment {namespace}/{name} has no completed build yet")
    return found.current_build_id


def demand_artifact(session: Session, caller: Caller, build_id: int, kind: ArtifactType) -> tuple[Any, Answer]:
    """How an artifact stands, now that somebody wants it; what nobody had asked for is asked for here.

    Raises NotFound, NotAuthorized, Conflict with the build's own reason when it has failed or was canceled.
    """
    row = find_build(session, caller, build_id)
    known = artifacts.find(session, build_id, kind)
    if row.status in (Status.FAILED, Status.CANCELED) and (known is None or known.state != ArtifactState.READY):
        raise Conflict(f"build {build_id} is {row.status}: {row.status_info or 'no reason was given'}")
    build = builds.load(session, build_id)
    return row, demand.demand(session, build, kind, actor=caller.name, source=SOURCE)


def request_artifact(session: Session, caller: Caller, build_id: int, kind: ArtifactType) -> Answer:
    """Asks for an artifact; one that has failed is tried again. Raises NotFound, NotAuthorized."""
    find_build(session, caller, build_id, Action.CREATE_ENVIRONMENT)
    build = builds.load(session, build_id)
    answer = demand.demand(session, build, kind, actor=caller.name, source=SOURCE)
    if answer.state == ArtifactState.FAILED:
        answer = demand.again(session, build, kind, actor=caller.name, source=SOURCE)
    return answer


def read_log(session: Session, caller: Caller, build_id: int) -> tuple[Any, Answer | None, str]:
    """The build's row, and its LOGS artifact once that is ready, else the text so far."""
    row = find_build(session, caller, build_id)
    text = "".join(chunk.text for chunk in _chunks(session, build_id))
    known = artifacts.find(session, build_id, ArtifactType.LOGS)
    if known is not None and known.state == ArtifactState.READY:
        return row, Answer(ArtifactState.READY, None, known.digest, known.size, known.key), ""
    return row, None, text


@dataclass(frozen=True)
class BuildNews:
    """What a follower of a build has not seen; `log_key` is where the whole log is, once it is joined and `ended`."""

    row: Any
    chunks: Sequence[Chunk]
    ended: bool
    log_key: str | None


def build_news(session: Session, build_id: int, *, after: int, limit: int) -> BuildNews:
    """Chunks behind chunk id `after`. The caller was authorised when the stream began. Raises NotFound."""
    # The state first: chunks of a build that has ended here are all there.
    row = listing_builds.find(session, build_id)
    chunks = logs.chunks(session, build_id, after=after, limit=limit)
    ended = Status(row.status) in FINAL
    known = artifacts.find(session, build_id, ArtifactType.LOGS) if ended and not chunks else None
    return BuildNews(row, chunks, ended, known.key if known is not None else None)


def _chunks(session: Session, build_id: int) -> Iterator[Chunk]:
    last = 0
    while found := logs.chunks(session, build_id, after=last):
        yield from found
        last = found[-1].id
