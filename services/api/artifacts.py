"""What is made of a build, for download: at once, after a wait, or the reason why not."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from condarium.database import archives, builds, listing_builds
from condarium.domain.artifact import ArtifactState, ArtifactType
from condarium.domain.naming import encode_oci, encode_tag
from condarium.errors import Conflict, InvalidInput, NotFound
from condarium.http.feed import StreamEnded, Subscription
from condarium.work.demand import Answer
from services.api import downloads, handlers, joining, wire
from services.api.bodies import ArtifactQuery, Model
from services.api.declaration import ACK, redirect, text
from services.api.endpoint import Ack, Call, Gateway, Slow, quick, slow
from services.api.replies.builds import Artifact

BUILD = "/api/v1/build/{build_id}/"
ENVIRONMENT = "/api/v1/environment/{namespace}/{environment_name}/"
#: how often a waiting download looks by itself; events wake it at once
LOOK_SECONDS = 2.0

#: `?format=` of /lockfile/; nothing is conda-lock as JSON, what conda-store's clients read
LOCKFILES = {
    "": ArtifactType.LOCKFILE,
    "json": ArtifactType.LOCKFILE,
    "conda-lock": ArtifactType.CONDA_LOCK,
    "explicit": ArtifactType.EXPLICIT,
    "pixi": ArtifactType.RATTLER_LOCK,
    "rattler": ArtifactType.RATTLER_LOCK,
    "environment": ArtifactType.YAML,
}
#: `?format=` of /archive/
ARCHIVES = {
    "": ArtifactType.CONDA_PACK,
    "gz": ArtifactType.CONDA_PACK,
    "tar.gz": ArtifactType.CONDA_PACK,
    "zst": ArtifactType.CONDA_PACK_ZST,
    "tar.zst": ArtifactType.CONDA_PACK_ZST,
}


def routes(gateway: Gateway) -> list[Route]:
    def download(path: str, kind: ArtifactType) -> Route:
        return bytes_at(path, of_build(lambda call: kind), f"The {kind} of a build")

    def bytes_at(path: str, function: Slow, summary: str) -> Route:
        return slow(
            gateway,
            path,
            function,
            query=ArtifactQuery,
            returns=redirect("The bytes are there, for a minute"),
            errors=(400, 403, 404, 409),
            summary=summary,
        )

    lockfile = ArtifactType.LOCKFILE
    return [
        quick(gateway, f"{BUILD}artifact/", list_artifacts, returns=list[Artifact], errors=(403,)),
        quick(
            gateway,
            f"{BUILD}artifact/{{artifact_type}}/",
            request_artifact,
            method="POST",
            returns=ACK,
            errors=(400, 403, 409),
        ),
        bytes_at(f"{BUILD}artifact/{{artifact_type}}/", of_build(_named), "An artifact of a build, by its type"),
        slow(
            gateway,
            f"{BUILD}logs/",
            show_log,
            query=ArtifactQuery,
            returns=(text(description="The log so far"), redirect("The whole log is there, for a minute")),
            errors=(403,),
        ),
        download(f"{BUILD}yaml/", ArtifactType.YAML),
        bytes_at(f"{BUILD}lockfile/", of_build(_lockfile_format), "The lockfile of a build, in a choice of formats"),
        bytes_at(f"{BUILD}archive/", of_build(_archive_format), "The tarball of a build, gzip or zstd"),
        *(download(f"{BUILD}{name}", lockfile) for name in ("conda-lock.yml", "conda-lock.yaml")),
        download(f"{BUILD}archive.tar.gz", ArtifactType.CONDA_PACK),
        download(f"{BUILD}archive.tar.zst", ArtifactType.CONDA_PACK_ZST),
        slow(
            gateway,
            f"{BUILD}docker/",
            show_image_name,
            query=ArtifactQuery,
            deprecated=True,
            returns=text(description="What to give to `docker pull`", example="registry:5000/default/first:g1"),
            errors=(400, 403, 409),
        ),
        download(f"{BUILD}installer/", ArtifactType.CONSTRUCTOR_INSTALLER),
        *(
            bytes_at(f"{ENVIRONMENT}{name}", of_environment(kind), "The lockfile of an environment's current build")
            for name, kind in (
                ("lockfile/", _lockfile_format),
                ("conda-lock.yml", lambda call: lockfile),
                ("conda-lock.yaml", lambda call: lockfile),
            )
        ),
    ]


def list_artifacts(session: Session, call: Call[Model, Any]) -> Any:
    """What was asked for of a build, and how it stands."""
    row = handlers.find_build(session, call.caller, call.number("build_id"))
    return [wire.artifact(item) for item in listing_builds.artifacts(session, row.id)]


def request_artifact(session: Session, call: Call[Model, Any]) -> Any:
    """Asks for an artifact; one that has failed is tried again."""
    build_id, kind = call.number("build_id"), _named(call)
    answer = handlers.request_artifact(session, call.caller, build_id, kind)
    return Ack(f"{kind} of build {build_id}: {answer.state}")


def _named(call: Call[Any, Any]) -> ArtifactType:
    """By its type, or the word of its own route: `artifact/CONDA_PACK/`."""
    word = call.text("artifact_type")
    if word.upper() not in set(ArtifactType):
        raise NotFound(f"there is no artifact {word[:80]!r}; there are {', '.join(ArtifactType)}")
    return ArtifactType(word.upper())


def _lockfile_format(call: Call[ArtifactQuery, Any]) -> ArtifactType:
    return _format(call, LOCKFILES)


def _archive_format(call: Call[ArtifactQuery, Any]) -> ArtifactType:
    return _format(call, ARCHIVES)


def _format(call: Call[ArtifactQuery, Any], known: dict[str, ArtifactType]) -> ArtifactType:
    if call.query.format not in known:
        allowed = ", ".join(name for name in known if name)
        raise InvalidInput(f"format={call.query.format[:80]!r} is not known; allowed are {allowed}")
    return known[call.query.format]


def of_build(kind: Callable[[Call[Any, Any]], ArtifactType]) -> Slow:
    """Redirects to the bytes of an artifact of `/build/{build_id}/`."""

    async def download(call: Call[ArtifactQuery, Any]) -> Response:
        return await deliver(call, call.number("build_id"), kind(call))

    return download


def of_environment(kind: Callable[[Call[Any, Any]], ArtifactType]) -> Slow:
    """Redirects to the bytes of an artifact of the environment's current build."""

    async def download(call: Call[ArtifactQuery, Any]) -> Response:
        namespace, name, wanted = call.text("namespace"), call.text("environment_name"), kind(call)
        build_id = await call.within(lambda session: handlers.current_build(session, call.caller, namespace, name))
        return await deliver(call, build_id, wanted)

    return download


@dataclass(frozen=True)
class Found:
    """A build, an artifact of it as it stands, and the hash of the lock that tarballs are made of."""

    build: Any
    answer: Answer
    lock_hash: str | None


async def deliver(call: Call[ArtifactQuery, Any], build_id: int, kind: ArtifactType) -> Response:
    """307 to the bytes. Waits for them up to `?wait=` seconds, holding neither thread nor connection.

    Raises NotFound while they are not made, Conflict with the reason when they could not be made.
    """
    found = await ready(call, build_id, kind)
    joined = None
    if call.query.single and kind in downloads.CODECS and found.lock_hash is not None:
        joined = await joining.joined(call, kind, found.lock_hash)
    where = downloads.link(call, found.build, kind, found.answer, found.lock_hash, joined=joined)
    return RedirectResponse(where, 307)


async def ready(call: Call[ArtifactQuery, Any], build_id: int, kind: ArtifactType) -> Found:
    until = time.monotonic() + call.query.wait
    found = await _look(call, build_id, kind)
    if call.query.wait and not _settled(build_id, kind, found):
        await call.gateway.feed.begun()
        with call.gateway.feed.events(lambda event: event.build_id == build_id) as news:
            while not _settled(build_id, kind, found):
                # What happened between the look and the subscription is seen by looking once more.
                found = await _look(call, build_id, kind)
                left = until - time.monotonic()
                if left <= 0 or _settled(build_id, kind, found):
                    break
                if not await _heard(call, news, min(left, LOOK_SECONDS)):
                    break
    if not _settled(build_id, kind, found):
        raise NotFound(
            f"build {build_id} has no {kind} yet ({_stand(found)}); ask again, or wait for it with ?wait=SECONDS"
        )
    return found


async def _heard(call: Call[Any, Any], news: Subscription, seconds: float) -> bool:
    """Waits for an event, at most `seconds`; False when there will be no more of them, or nobody waits any more."""
    try:
        await news.next(seconds)
    except StreamEnded:
        return False
    return not await call.request.is_disconnected()


async def _look(call: Call[ArtifactQuery, Any], build_id: int, kind: ArtifactType) -> Found:
    def look(session: Session) -> Found:
        row, answer = handlers.demand_artifact(session, call.caller, build_id, kind)
        lock_hash = listing_builds.lock_hash(session, row.id, call.query.platform)
        if answer.state == ArtifactState.READY and kind in downloads.CODECS:
            _check_platform(session, call, row.id, kind, lock_hash)
        return Found(row, answer, lock_hash)

    return await call.within(look)


def _check_platform(
    session: Session, call: Call[ArtifactQuery, Any], build_id: int, kind: ArtifactType, lock_hash: str | None
) -> None:
    """Raises NotFound when the platform asked for has no such tarball."""
    if lock_hash is None or archives.find(session, lock_hash, downloads.CODECS[kind]) is None:
        known = ", ".join(builds.lock_hashes(session, build_id))
        raise NotFound(f"build {build_id} has no {kind} for {call.query.platform[:80]!r}; its platforms are {known}")


def _settled(build_id: int, kind: ArtifactType, found: Found) -> bool:
    """Whether it is there. Raises Conflict when it will not be."""
    if found.answer.state == ArtifactState.READY:
        return True
    if found.answer.state == ArtifactState.FAILED:
        raise Conflict(
            f"the {kind} of build {build_id} could not be made: {found.answer.reason}; "
            f"POST /api/v1/build/{build_id}/artifact/{kind}/ tries again"
        )
    return False


def _stand(found: Found) -> str:
    if found.answer.reason:
        return found.answer.reason
    return f"the build is {found.build.status}" if found.lock_hash is None else f"it is {found.answer.state}"


async def show_log(call: Call[ArtifactQuery, Any]) -> Response:
    """307 to the whole log once it is joined; until then, or when that takes longer than `?wait=`, what there is."""
    build_id = call.number("build_id")

    def look(session: Session) -> tuple[Any, Answer | None, str]:
        return handlers.read_log(session, call.caller, build_id)

    until = time.monotonic() + call.query.wait
    row, answer, so_far = await call.within(look)
    if call.query.wait and answer is None:
        await call.gateway.feed.begun()
        with call.gateway.feed.events(lambda event: event.build_id == build_id) as news:
            while answer is None and (left := until - time.monotonic()) > 0:
                row, answer, so_far = await call.within(look)
                if answer is not None or not await _heard(call, news, min(left, LOOK_SECONDS)):
                    break
    if answer is not None:
        return RedirectResponse(downloads.link(call, row, ArtifactType.LOGS, answer, None), 307)
    return PlainTextResponse(so_far, headers={"cache-control": "no-store"})


async def show_image_name(call: Call[ArtifactQuery, Any]) -> Response:
    """The name of the image of a build; with `?wait=` it is asked for, and waited for."""
    build_id = call.number("build_id")
    if call.query.wait:
        with suppress(NotFound):
            await ready(call, build_id, ArtifactType.DOCKER_MANIFEST)
    return await call.within(lambda session: _image_name(session, call, build_id))


def _image_name(session: Session, call: Call[ArtifactQuery, Any], build_id: int) -> Response:
    row = handlers.find_build(session, call.caller, build_id)
    items = listing_builds.artifacts(session, row.id)
    if not any(item.artifact_type == ArtifactType.DOCKER_MANIFEST and item.state == "READY" for item in items):
        raise InvalidInput(f"Build {row.id} doesn't have a docker manifest")
    repository = f"{encode_oci(row.namespace)}/{encode_oci(row.environment)}"
    # A key too long for a tag still has its generation.
    tag = encode_tag(row.key) or f"g{row.generation}"
    return PlainTextResponse(f"{call.gateway.settings.registry_external}/{repository}:{tag}")
