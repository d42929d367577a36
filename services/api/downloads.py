"""Addresses of bytes that are good for a minute, and the route behind them where storage has none of its own."""

import time
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.database import archives
from condarium.database.archives import Codec
from condarium.domain.access import Action
from condarium.domain.archive import MemberList
from condarium.domain.artifact import ArtifactType
from condarium.errors import NotFound
from condarium.http import byte_ranges
from condarium.http.byte_ranges import Content, Piece
from condarium.storage import blob_key, check_key, signing
from condarium.work.demand import Answer
from services.api.bodies import Model
from services.api.declaration import Reply, text
from services.api.endpoint import Call, Gateway, slow

LINK_SECONDS = 60
#: what the audit log calls it
DOWNLOAD = "artifact::download"
#: below /storage: tarballs and installers that are put together while they are sent, by the hash of their lock
TARBALLS = "archive/"

SUFFIXES = {
    ArtifactType.LOCKFILE: "conda-lock.json",
    ArtifactType.CONDA_LOCK: "conda-lock.yml",
    ArtifactType.YAML: "environment.yml",
    ArtifactType.EXPLICIT: "explicit.txt",
    ArtifactType.RATTLER_LOCK: "pixi.lock",
    ArtifactType.LOGS: "log.txt",
    ArtifactType.CONDA_PACK: "tar.gz",
    ArtifactType.CONDA_PACK_ZST: "tar.zst",
    ArtifactType.CONSTRUCTOR_INSTALLER: "sh",
}
CODECS: dict[ArtifactType, Codec] = {
    ArtifactType.CONDA_PACK: "gz",
    ArtifactType.CONDA_PACK_ZST: "zst",
    ArtifactType.CONSTRUCTOR_INSTALLER: "sh",
}
#: browsers show text and JSON, and save the rest
MEDIA_TYPES = {
    ".json": "application/json",
    ".gz": "application/gzip",
    ".zst": "application/zstd",
    ".sh": "application/x-sh",
}
TEXT = "text/plain; charset=utf-8"


def routes(gateway: Gateway) -> list[Route]:
    return [
        slow(
            gateway,
            "/storage/{key:path}",
            serve,
            returns=(
                text("*/*", "The bytes"),
                text("*/*", "The part that `Range` asked for", status=206),
                Reply(304, "It is what `If-None-Match` names", media_type=""),
                Reply(416, "The range begins behind the end", media_type=""),
            ),
            errors=(400, 403),
            takes={"Range": "`bytes=START-END`", "If-Range": "an `ETag`", "If-None-Match": "`ETag`s"},
        )
    ]


def link(
    call: Call[Any, Any],
    build: Any,
    kind: ArtifactType,
    answer: Answer,
    lock_hash: str | None,
    *,
    joined: str | None = None,
) -> str:
    """Where the bytes of a ready artifact are for the next minute; `joined` is the key of a tarball in one piece.

    Raises NotFound for what has no bytes (an image).
    """
    filename = f"{build.environment}-{build.generation}.{SUFFIXES.get(kind, 'bin')}"
    address = joined and _external(call, joined, filename)
    address = address or _address(call, build, kind, answer, lock_hash, filename)
    call.gateway.tallies.fetched(
        principal=call.caller.name,
        action=DOWNLOAD,
        resource=f"{build.namespace}/{build.environment}",
        digest=answer.digest or lock_hash,
        artifact=kind.value,
    )
    return address


def _address(
    call: Call[Any, Any], build: Any, kind: ArtifactType, answer: Answer, lock_hash: str | None, filename: str
) -> str:
    if kind in CODECS and lock_hash is not None:
        path = f"/storage/{TARBALLS}{lock_hash}.{SUFFIXES[kind]}"
    elif answer.key is not None:
        if (external := _external(call, answer.key, filename)) is not None:
            return external
        path = f"/storage/{answer.key}"
    else:
        raise NotFound(f"the {kind} of build {build.id} is no file; see /api/v1/build/{build.id}/docker/")
    secret = call.gateway.settings.secret.encode()
    return call.link(f"{path}?{signing.sign(path, secret, int(time.time()) + LINK_SECONDS, filename)}")


def _external(call: Call[Any, Any], key: str, filename: str) -> str | None:
    """An address of the storage itself, where it has some."""
    return call.gateway.storage.url(
        key, expires_seconds=LINK_SECONDS, filename=filename, content_type=media_type(filename)
    )


def media_type(filename: str) -> str:
    return next((kind for suffix, kind in MEDIA_TYPES.items() if filename.endswith(suffix)), TEXT)


async def serve(call: Call[Model, Any]) -> Response:
    """Streams what is stored to whoever has a link of ours, and to those who operate the system."""
    key = call.text("key")
    parameters = dict(call.request.query_params)
    filename: str | None = None
    if "signature" in parameters:
        filename = signing.verify(f"/storage/{key}", parameters, call.gateway.settings.secret.encode(), time.time())
    else:
        call.caller.require(Action.OPERATE)
        call.gateway.tallies.fetched(principal=call.caller.name, action=DOWNLOAD, resource=key, digest=None)
    check_key(key)
    content = await _tarball(call, key) if key.startswith(TARBALLS) else await _stored(call, key)
    kind = media_type(filename or key)
    saved = filename if kind not in (TEXT, MEDIA_TYPES[".json"]) else None
    return byte_ranges.reply(call.request, call.gateway.storage, content, media_type=kind, filename=saved)


async def _stored(call: Call[Model, Any], key: str) -> Content:
    return await call.aside(lambda: byte_ranges.stored(call.gateway.storage, key))


async def _tarball(call: Call[Model, Any], key: str) -> Content:
    lock_hash, _, suffix = key.removeprefix(TARBALLS).partition(".")
    known = next((codec for kind, codec in CODECS.items() if SUFFIXES[kind] == suffix), None)
    found = await call.within(lambda session: archives.find(session, lock_hash, known)) if known else None
    if found is None:
        raise NotFound("there is nothing at this address")
    members = MemberList.of(found.parts)

    def pieces(start: int, end: int) -> list[Piece]:
        return [Piece(blob_key(part.digest), part.start, part.end) for part in members.slices(start, end)]

    return Content(members.size, members.identity, pieces)
