"""What becomes of the bytes of a watched file."""

import enum
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from condarium import log, metrics
from condarium.conda import matchspec
from condarium.database import Database, builds, outbox, watched
from condarium.database.tables import WatchedFile
from condarium.domain import specification
from condarium.domain.build import Status
from condarium.domain.naming import check_name
from condarium.domain.specification import Specification
from condarium.errors import CondariumError, InvalidInput, NotFound, QuotaExceeded, SpecificationError
from condarium.events import SpecificationInvalid
from condarium.work import policy, submission
from services.watcher.sources import Source, default_name

ACTOR = SOURCE = "watcher"
_NAME_LINE = re.compile(rb"^name:[ \t]*[\"']?([A-Za-z0-9][A-Za-z0-9._+-]{0,63})[\"']?[ \t]*\r?$", re.MULTILINE)

logger = log.get(__name__)


class Outcome(enum.Enum):
    SUBMITTED = "submitted"
    #: seen before, or it means what was submitted last
    SAME = "same"
    INVALID = "invalid"
    #: the namespace has no room for it now
    WAITS = "waits"


def take(
    database: Database,
    source: Source,
    content: bytes,
    *,
    platforms: Sequence[str],
    deployment: Mapping[str, Any] = policy.UNKNOWN,
) -> Outcome:
    """Submits what the bytes specify, unless that was submitted last from this path; all in one transaction.

    Bytes that are no specification, or one that settings refuse, are told by an event, once for each content; what was
    built before stays. What the quota of the namespace refuses is told once too, and tried again each time it is read.
    Raises Unavailable.
    """
    digest = hashlib.sha256(content).hexdigest()
    with database.transaction() as session:
        row = watched.hold(session, source.namespace, str(source.path))
        if row.content_sha256 == digest:
            return Outcome.INVALID if row.message else Outcome.SAME
        row.content_sha256 = digest
        try:
            wanted = _parse(source, content, platforms)
            if wanted.hash == row.specification_sha256:
                row.message = None
                return Outcome.SAME
            with session.begin_nested():
                _submit(session, row, wanted, deployment)
        except QuotaExceeded as error:
            row.content_sha256 = ""  # not taken yet
            if row.message != str(error):
                _refuse(session, row, source, content, error)
            return Outcome.WAITS
        except InvalidInput as error:
            _refuse(session, row, source, content, error)
            return Outcome.INVALID
    return Outcome.SUBMITTED


def _parse(source: Source, content: bytes, platforms: Sequence[str]) -> Specification:
    return specification.parse(
        content,
        check_match_spec=matchspec.check,
        default_name=default_name(source.path),
        default_platforms=platforms,
        may_be_empty=True,
    )


def _submit(session: Session, row: WatchedFile, wanted: Specification, deployment: Mapping[str, Any]) -> None:
    policy.queue_up(session, row.namespace)
    _supersede(session, row, wanted)
    made = submission.submit(
        session, wanted, namespace=row.namespace, actor=ACTOR, source=SOURCE, deployment=deployment
    )
    row.message = None
    row.specification_sha256, row.build_id = wanted.hash, made.build_id
    metrics.SUBMISSIONS.labels(SOURCE).inc()
    logger.info("submitted", path=row.path, namespace=row.namespace, environment=wanted.name, build=made.build_id)


def _supersede(session: Session, row: WatchedFile, wanted: Specification) -> None:
    """An environment has one build running and one waiting at most by our hand: the newer version takes the place."""
    if row.build_id is None:
        return
    try:
        previous = builds.load(session, row.build_id, lock=True)
    except NotFound:
        return
    waits = previous.status == Status.QUEUED and previous.attempt == 0
    if waits and previous.environment.name == wanted.name:
        builds.cancel(session, previous, actor=ACTOR, source=SOURCE)
        previous.status_info = f"superseded by a newer version of {row.path}"


def _refuse(session: Session, row: WatchedFile, source: Source, content: bytes, error: CondariumError) -> None:
    line = error.line if isinstance(error, SpecificationError) else None
    message = f"line {line}: {error}" if line and f"line {line}" not in str(error) else str(error)
    row.message = message
    event = SpecificationInvalid(
        namespace=row.namespace,
        environment=_likely_name(session, row, source, content),
        actor=ACTOR,
        path=row.path,
        message=message,
    )
    outbox.add(session, event, source=SOURCE)
    logger.warning("no valid specification", path=row.path, reason=message)


def _likely_name(session: Session, row: WatchedFile, source: Source, content: bytes) -> str:
    """Whom a broken file concerns: what it names, what it named when it was last built, what its path says."""
    if named := _NAME_LINE.search(content):
        return named[1].decode()
    if row.build_id is not None:
        try:
            return builds.load(session, row.build_id).environment.name
        except NotFound:
            pass
    name = default_name(source.path) or ""
    try:
        return check_name("environment", name)
    except InvalidInput:
        return ""
