"""The addresses of channels: `<environment>/<subdir>/<package>` below `/v2/`, where image names have fewer parts."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from anyio import to_thread
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import package_copies
from condarium.database.images import Blob, Manifest
from condarium.domain import on_demand
from condarium.errors import Unavailable
from condarium.http.answers import Answers
from condarium.http.json_reply import JsonReply
from condarium.storage import blob_key
from services.registry import blobs
from services.registry.packages import handlers
from services.registry.packages.handlers import Ask, Body, Part, Waits
from services.registry.rates import BLOBS, LISTS, MANIFESTS
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER, asked_limit, content_headers, is_known

T = TypeVar("T")

_NOT_PACKAGES = "|".join(on_demand.PREFIXES)


class _Channel(StringConvertor):
    """An environment, with or without its namespace; never an image that is asked for by its packages."""

    regex = rf"(?!(?:{_NOT_PACKAGES})/)[^/]+(?:/[^/]+)?"


class _Subdir(StringConvertor):
    """What conda calls platforms. An environment of such a name is no subdir of another: images have no third part."""

    regex = r"noarch|(?:linux|osx|win|freebsd|emscripten|wasi|zos|ios|iossimulator|android)-[a-z0-9]+"


register_url_convertor("conda_channel", _Channel())
register_url_convertor("conda_subdir", _Subdir())

_REPOSITORY = "/v2/{name:conda_channel}/{subdir:conda_subdir}/{package}"


def routes(registry: Registry) -> list[Route]:
    answers = Answers()
    registry.feed.when(package_copies.ANSWERED_CHANNEL, answers.wake)

    async def manifest(request: Request) -> Response:
        part, ask = await _asked(registry, request, MANIFESTS)
        reference = request.path_params["reference"]
        found = await _until_there(
            registry, request, answers, lambda: _ask(registry, part, reference, ask, handlers.find_manifest)
        )
        return Response(status_code=499) if found is None else _manifest_reply(request, found)

    async def blob(request: Request) -> Response:
        part, ask = await _asked(registry, request, BLOBS)
        digest = request.path_params["digest"]
        found = await _until_there(
            registry, request, answers, lambda: _ask(registry, part, digest, ask, handlers.find_blob)
        )
        if isinstance(found, Body):
            headers = content_headers(found.digest)
            if is_known(request, found.digest):
                return Response(status_code=304, headers=headers)
            return Response(found.body, headers=headers | {"content-type": found.media_type})
        if not isinstance(found, Blob):
            return Response(status_code=499)
        elsewhere = blobs.redirect(request, registry.storage, found, digest)
        if elsewhere is not None:
            return elsewhere
        return await to_thread.run_sync(
            blobs.stream, request, registry.storage, found, digest, limiter=registry.limiter
        )

    async def tags(request: Request) -> Response:
        part, _ = await _asked(registry, request, LISTS)
        every = await registry.within(lambda session: handlers.list_tags(session, part))
        last, limit = request.query_params.get("last", ""), asked_limit(request.query_params.get("n"))
        rest = [each for each in every if each > last]
        page = rest if limit is None else rest[:limit]
        reply = JsonReply({"name": part.text, "tags": page}, headers=VERSION_HEADER)
        if limit and len(rest) > limit:
            reply.headers["link"] = f'</v2/{part.text}/tags/list?n={limit}&last={quote(page[-1], safe="")}>; rel="next"'
        return reply

    return [
        Route(f"{_REPOSITORY}/manifests/{{reference}}", manifest),
        Route(f"{_REPOSITORY}/blobs/{{digest}}", blob),
        Route(f"{_REPOSITORY}/tags/list", tags),
    ]


async def _asked(registry: Registry, request: Request, kind: str) -> tuple[Part, Ask]:
    """Access is that of the environment, whose repository `authorized` finds in the path."""
    channel, caller = await registry.authorized(request, kind)
    part = Part(channel, request.path_params["subdir"], request.path_params["package"])
    return part, Ask(caller.name, lambda digest: registry.storage.stat(blob_key(digest)) is not None)


def _ask(registry: Registry, part: Part, reference: str, ask: Ask, find: Callable[..., T]) -> T:
    return registry.ask(lambda session: find(session, part, reference, ask))


async def _until_there(
    registry: Registry, request: Request, answers: Answers, look: Callable[[], T | Waits]
) -> T | None:
    """Looks until a packager has brought it, holding no thread and no connection; None when the client has gone.

    Raises what `look` raises, and Unavailable when it takes longer than pulls wait.
    """
    settings = registry.settings
    until = time.monotonic() + settings.registry_wait_seconds
    with answers.news() as news:
        while True:
            # what came before the event was there is seen by looking once more
            news.clear()
            found = await to_thread.run_sync(look, limiter=registry.limiter)
            if not isinstance(found, Waits):
                return found
            if registry.feed.closed:
                raise Unavailable("the registry is stopping; ask again in a moment")
            left = until - time.monotonic()
            if left <= 0:
                raise Unavailable(f"{found.what}; ask again to go on waiting")
            if await request.is_disconnected():
                return None
            try:
                await asyncio.wait_for(news.wait(), min(left, settings.poll_seconds))
            except TimeoutError:
                continue


def _manifest_reply(request: Request, manifest: Manifest) -> Response:
    headers = content_headers(manifest.digest)
    if ":" not in request.path_params["reference"]:
        headers["cache-control"] = "private, no-cache"
    if is_known(request, manifest.digest):
        return Response(status_code=304, headers=headers)
    return Response(manifest.body, headers=headers | {"content-type": manifest.media_type})
