"""Layers and configs, and the answer to whoever wants to push some."""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.registry import blobs, handlers
from services.registry.digests import as_sha256
from services.registry.faults import BlobUnknown, Unsupported
from services.registry.rates import BLOBS
from services.registry.registry import Registry

_EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def routes(registry: Registry) -> list[Route]:
    async def blob(request: Request) -> Response:
        repository, _ = await registry.authorized(request, BLOBS)
        reference = request.path_params["digest"]
        digest = await as_sha256(registry, repository, reference, BlobUnknown)
        found = await registry.remembered.answer(
            ("blob", repository.arn, digest), lambda session: handlers.find_blob(session, repository, digest)
        )
        elsewhere = blobs.redirect(request, registry.storage, found, reference)
        if elsewhere is not None:
            return elsewhere
        return await to_thread.run_sync(
            blobs.stream, request, registry.storage, found, reference, limiter=registry.limiter
        )

    async def upload(request: Request) -> Response:
        """What `docker push` begins with."""
        await registry.authorized(request)
        raise Unsupported("this registry is for pulling: images are made of builds")

    return [
        Route("/v2/{name:path}/blobs/uploads/{rest:path}", upload, methods=_EVERY_METHOD),
        Route("/v2/{name:path}/blobs/{digest}", blob),
    ]
