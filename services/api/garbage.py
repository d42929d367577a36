"""Sweeps and verifications on request, pins, and what keeps things."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field
from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import environments, image_tags, settings
from condarium.database.garbage import pins, sweeps, why
from condarium.domain.access import Action
from condarium.domain.build import Status
from condarium.domain.naming import BuildKey
from condarium.domain.retention import Retention
from condarium.domain.tags import Generation, HashPrefix, Labelled, choose, parse_digest, parse_tag
from condarium.errors import InvalidInput, NotFound
from services.api import handlers, wire
from services.api.bodies import Model, WithoutNul
from services.api.declaration import ACK
from services.api.endpoint import Ack, Call, Done, Gateway, quick
from services.api.moments import Moment
from services.api.replies import garbage as replies

PIN = "/api/v1/build/{build_id}/pin/"
#: the longest grace that may be asked for, in seconds
MOST_GRACE = 10**9


class SweepBody(Model):
    """`until_free` is the part of the disk, 0 to 1, at which it ends; `grace_seconds` stands in for the setting."""

    may_be_empty: ClassVar[bool] = True

    dry_run: bool = False
    until_free: Annotated[float | None, Field(gt=0, lt=1)] = None
    grace_seconds: Annotated[int | None, Field(ge=0, le=MOST_GRACE)] = None


class VerifyBody(Model):
    """`sample` is the part of the blobs that is read; prefixes are always read all."""

    may_be_empty: ClassVar[bool] = True

    repair: bool = False
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0


class PinBody(Model):
    """Without `expires_on` the pin is for ever."""

    may_be_empty: ClassVar[bool] = True

    reason: Annotated[str, Field(max_length=500), WithoutNul] = ""
    expires_on: Moment = None


class WhyQuery(Model):
    target: Annotated[str, Field(min_length=1, max_length=1000), WithoutNul]


class LatestQuery(Model):
    limit: Annotated[int, Field(ge=1, le=100)] = 20


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(gateway, "/api/v1/gc/", list_sweeps, query=LatestQuery, returns=list[replies.Sweep], errors=(403,)),
        quick(gateway, "/api/v1/gc/", ask_sweep, method="POST", body=SweepBody, returns=replies.SweepId, errors=(403,)),
        quick(gateway, "/api/v1/gc/why/", show_why, query=WhyQuery, returns=replies.Why, errors=(400, 403, 404)),
        quick(gateway, "/api/v1/gc/{sweep_id}/", show_sweep, returns=replies.Sweep, errors=(403,)),
        quick(
            gateway,
            "/api/v1/store/verify/",
            ask_verification,
            method="POST",
            body=VerifyBody,
            returns=replies.SweepId,
            errors=(403,),
        ),
        quick(gateway, PIN, pin_build, method="PUT", body=PinBody, returns=ACK, errors=(400, 403)),
        quick(gateway, PIN, unpin_build, method="DELETE", returns=ACK, errors=(403,)),
    ]


def ask_sweep(session: Session, call: Call[Model, SweepBody]) -> Any:
    """Asks the services to delete what nothing needs, or with `dry_run` to say what they would delete."""
    call.caller.require(Action.OPERATE)
    return _ask(session, call, "gc", call.body.model_dump(exclude_none=True))


def ask_verification(session: Session, call: Call[Model, VerifyBody]) -> Any:
    """Asks the services to compare prefixes with their locks and blobs with their digests, and with `repair` to mend
    what is damaged."""
    call.caller.require(Action.OPERATE)
    return _ask(session, call, "verify", call.body.model_dump())


def _ask(session: Session, call: Call[Any, Any], verb: sweeps.Verb, options: dict[str, Any]) -> Done:
    call.notes["options"] = options
    number = sweeps.ask(session, verb, options, actor=call.caller.name)
    return Done({"id": number}, f"asked for; see /api/v1/gc/{number}/")


def list_sweeps(session: Session, call: Call[LatestQuery, Any]) -> Any:
    """The latest sweeps and verifications, the newest first."""
    call.caller.require(Action.OPERATE)
    return [_shown(each) for each in sweeps.latest(session, limit=call.query.limit)]


def show_sweep(session: Session, call: Call[Model, Any]) -> Any:
    """One sweep or verification, with what each service reports."""
    call.caller.require(Action.OPERATE)
    number = call.number("sweep_id")
    found = sweeps.load(session, number) if 0 < number < 2**63 else None
    if found is None:
        raise NotFound("there is no such sweep")
    return _shown(found)


def _shown(each: sweeps.Shown) -> dict[str, Any]:
    return {
        "id": each.id,
        "verb": each.verb,
        "options": dict(each.options),
        "created_on": wire.moment(each.created_on),
        "created_by": each.created_by,
        "ended": each.ended,
        "parts": [
            {
                "part": part.part,
                "state": part.state,
                "report": dict(part.report),
                "message": part.message,
                "ended_on": wire.moment(part.ended_on),
            }
            for part in each.parts
        ],
    }


def pin_build(session: Session, call: Call[Model, PinBody]) -> Any:
    """Keeps a build, whatever comes after it, until `expires_on` or until the pin is taken away."""
    row = handlers.find_build(session, call.caller, call.number("build_id"), Action.UPDATE_ENVIRONMENT)
    expires_on = call.body.expires_on
    if expires_on is not None and expires_on <= datetime.now(UTC):
        raise InvalidInput(f"expires_on: {expires_on.isoformat()} is over already")
    if row.status != Status.COMPLETED:
        raise InvalidInput(f"build {row.id} is {row.status}; only what is completed can be pinned")
    pins.put(session, row.id, reason=call.body.reason, expires_on=expires_on, actor=call.caller.name)
    call.notes["reason"] = call.body.reason
    return Ack(f"build {row.id} pinned")


def unpin_build(session: Session, call: Call[Model, Any]) -> Any:
    """Takes the pin of a build away."""
    row = handlers.find_build(session, call.caller, call.number("build_id"), Action.UPDATE_ENVIRONMENT)
    if not pins.remove(session, row.id):
        raise NotFound(f"build {row.id} is not pinned")
    return Ack(f"build {row.id} not pinned any more")


def show_why(session: Session, call: Call[WhyQuery, Any]) -> Any:
    """What keeps something: `target` is NAMESPACE/NAME, NAMESPACE/NAME:TAG, a sha256 (of a blob, image, lock or
    package), or the path of a prefix. The last two are for operators."""
    target = call.query.target.strip()
    retention = Retention.of(settings.effective(session, deployment=call.gateway.deployment).values)
    answer = _why(session, call, target, retention)
    if answer is None:
        raise NotFound(f"nothing is known of {target}")
    return {
        "target": target,
        "what": answer.what,
        "kept": bool(answer.chains),
        "chains": [{"steps": list(each.steps), "kind": each.kind, "detail": each.detail} for each in answer.chains],
        "condemned_on": wire.moment(answer.condemned_on),
    }


def _why(session: Session, call: Call[WhyQuery, Any], target: str, retention: Retention) -> why.Answer | None:
    digest = parse_digest(target) or parse_digest(f"sha256:{target}")
    if digest is not None:
        call.caller.require(Action.OPERATE)
        return why.of_digest(session, digest, retention)
    if target.startswith("/") or target.count("/") > 1:
        call.caller.require(Action.OPERATE)
        return why.of_prefix(session, target, retention)
    return _why_environment(session, call, target, retention)


def _why_environment(
    session: Session, call: Call[WhyQuery, Any], target: str, retention: Retention
) -> why.Answer | None:
    place, colon, tag = target.partition(":")
    namespace, slash, name = place.partition("/")
    if not slash or not namespace or not name:
        raise InvalidInput(f"{target!r}: write NAMESPACE/NAME, NAMESPACE/NAME:TAG, a sha256 or the path of a prefix")
    if call.caller.may(Action.OPERATE):
        prefix = why.of_prefix(session, target, retention)
        if prefix is not None:
            return prefix
    call.caller.require(Action.READ_ENVIRONMENT, namespace, name)
    environment = environments.find(session, namespace, name)
    if environment is None:
        return None
    if not colon:
        builds = environments.builds_of(session, environment.id)
        return why.of_builds(session, f"the environment {place}", builds, retention)
    build_id = _tagged(session, environment, tag)
    return None if build_id is None else why.of_builds(session, f"build {build_id} of {place}", [build_id], retention)


def _tagged(session: Session, environment: Any, tag: str) -> int | None:
    """The build that a tag means; a build's number, too."""
    if tag.isdecimal() and int(tag) in environments.builds_of(session, environment.id):
        return int(tag)
    wanted = parse_tag(tag)
    if isinstance(wanted, Generation):
        return image_tags.by_generation(session, environment, wanted.number)
    if isinstance(wanted, BuildKey):
        return image_tags.by_key(session, environment, str(wanted))
    if isinstance(wanted, Labelled):
        return image_tags.by_labels(session, environment, wanted.labels)
    if isinstance(wanted, HashPrefix):
        found = choose(wanted.digits, image_tags.candidates(session, environment, wanted.digits))
        return image_tags.by_hash(session, environment, found[0]) if len(found) == 1 else None
    return image_tags.latest(session, environment) if tag == "latest" else None
