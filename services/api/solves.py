"""Solving without building: what a specification would become, and what that would change."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import builds, environments
from condarium.database.locks import WHEELS
from condarium.database.solves import Asked
from condarium.domain.access import Action
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.lock_difference import Difference, difference
from condarium.http.json_reply import JsonReply
from services.api import intake
from services.api.asking import ClientGone, answer
from services.api.bodies import SolveBody, SolvePlaceQuery, SolveQuery
from services.api.declaration import bare, data
from services.api.endpoint import Call, Gateway, enveloped, slow
from services.api.intake import SolveQuestion
from services.api.replies import solves as replies

#: the name of what is solved without one
NAME = "solve"
ERRORS = (400, 403, 429, 503)


def routes(gateway: Gateway) -> list[Route]:
    return [
        slow(
            gateway,
            "/api/v1/specification/",
            solve_packages,
            query=SolveQuery,
            returns=bare(replies.Solved, "The packages, of one platform"),
            errors=ERRORS,
        ),
        slow(
            gateway,
            "/api/v1/solve/",
            solve_specification,
            method="POST",
            query=SolvePlaceQuery,
            body=SolveBody,
            returns=data(replies.SolveAnswer, "What would be built"),
            errors=(*ERRORS, 404),
        ),
    ]


async def solve_packages(call: Call[SolveQuery, Any]) -> Response:
    """Solves a list of packages, and builds nothing.

    Channels, match specs and pip requirements are repeated; the answer is that of one platform. Waits for a builder.
    """
    query = call.query
    call.caller.require(Action.SOLVE_ENVIRONMENT, query.namespace)
    pip = [{"pip": list(query.pip)}] if query.pip else []
    wanted = {
        "name": NAME,
        "channels": [*query.channel, *query.channels],
        "dependencies": [*query.conda, *pip],
        "platforms": [query.platform or call.gateway.settings.platforms[0]],
    }
    question = await _question(call, json.dumps(wanted), namespace=query.namespace, name=NAME)
    try:
        found = await answer(call, question.asked)
    except ClientGone:
        return Response(status_code=499)
    (lock,) = found.locks.values()
    return JsonReply({"solve": rows(lock)})


async def solve_specification(call: Call[SolvePlaceQuery, SolveBody]) -> Response:
    """Solves an environment.yml (or reads a lockfile), and builds nothing.

    Where an environment is named, says what a build would change there.
    """
    namespace = call.query.namespace or call.body.namespace or ""
    name = call.query.environment
    if name:
        namespace = namespace or call.caller.primary_namespace
        call.caller.require(Action.READ_ENVIRONMENT, namespace, name)
    call.caller.require(Action.SOLVE_ENVIRONMENT, namespace, name)
    body = call.body
    question = await _question(
        call,
        body.specification,
        namespace=namespace,
        name=name or body.environment_name or NAME,
        is_lockfile=bool(body.is_lockfile),
    )
    try:
        found = await answer(call, question.asked)
    except ClientGone:
        return Response(status_code=499)
    return enveloped(await call.within(lambda session: _answer(session, question, found, namespace, name)))


async def _question(
    call: Call[Any, Any], text: str, *, namespace: str, name: str, is_lockfile: bool = False
) -> SolveQuestion:
    def ask(session: Session) -> SolveQuestion:
        platforms = call.gateway.settings.platforms
        wanted = intake.read(text, is_lockfile=is_lockfile, name=name, description="", platforms=platforms)
        return intake.question(session, wanted, namespace=namespace, deployment=call.gateway.deployment)

    return await call.within(ask)


def _answer(session: Session, question: SolveQuestion, found: Asked, namespace: str, name: str) -> Any:
    hashes = {platform: lock.hash for platform, lock in found.locks.items()}
    shown: dict[str, Any] = {
        "specification": question.specification,
        "locks": hashes,
        "solve": {platform: rows(lock) for platform, lock in found.locks.items()},
        "current": None,
        "changes": None,
    }
    if not name:
        return shown
    environment = environments.find(session, namespace, name)
    known: Mapping[str, Lock] = {}
    if environment is not None and environment.current_build_id is not None:
        build = builds.load(session, environment.current_build_id)
        known = builds.locks(session, build.id)
        theirs = {platform: lock.hash for platform, lock in known.items()}
        shown["current"] = {
            "build_id": build.id,
            "specification": build.specification.sha256,
            "locks": theirs,
            "same_specification": build.specification.sha256 == question.specification,
            "same_locks": theirs == hashes,
        }
    platforms = sorted({*known, *found.locks})
    shown["changes"] = {
        platform: changes(difference(known.get(platform), found.locks.get(platform))) for platform in platforms
    }
    return shown


def changes(found: Difference) -> dict[str, Any]:
    """A difference as it is shown."""
    return {
        "added": [asdict(item) for item in found.added],
        "removed": [asdict(item) for item in found.removed],
        "changed": [
            {"name": after.name, "kind": after.kind, "before": asdict(before), "after": asdict(after)}
            for before, after in found.changed
        ],
    }


def rows(lock: Lock) -> list[dict[str, Any]]:
    """conda-store's rows of package builds, of which its client reads name, version, channel_id and size."""
    return [*map(_conda, lock.conda), *map(_wheel, lock.pypi)]


def _conda(record: Record) -> dict[str, Any]:
    channel = record.channel.rstrip("/").removesuffix(f"/{record.subdir}")
    raw = record.raw
    return {
        **_ids("conda", record.name, record.version, channel, record.sha256),
        "build": record.build,
        "build_number": int(raw.get("build_number") or 0),
        "constrains": list(raw.get("constrains") or ()),
        "depends": list(record.depends),
        "md5": record.md5 or "",
        "sha256": record.sha256,
        "size": record.size,
        "subdir": record.subdir,
        "timestamp": raw.get("timestamp"),
        "condarium": {"kind": "conda", "channel": channel, "url": record.url},
    }


def _wheel(wheel: Wheel) -> dict[str, Any]:
    return {
        **_ids("pypi", wheel.name, wheel.version, WHEELS, wheel.sha256),
        "build": "",
        "build_number": 0,
        "constrains": [],
        "depends": [],
        "md5": "",
        "sha256": wheel.sha256,
        "size": wheel.size,
        "subdir": "noarch",
        "timestamp": None,
        "condarium": {"kind": "pypi", "channel": WHEELS, "url": wheel.url},
    }


def _ids(kind: str, name: str, version: str, channel: str, sha256: str) -> dict[str, Any]:
    """These packages have no rows of their own: their ids need only be the same in every reply."""
    return {
        "id": zlib.crc32(sha256.encode()),
        "package_id": zlib.crc32(f"{kind}/{channel}/{name}/{version}".encode()),
        "channel_id": zlib.crc32(channel.encode()),
        "name": name,
        "version": version,
    }
