"""Layers and configs."""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.registry import handlers
from services.registry.blobs import blob_reply
from services.registry.registry import Registry


def routes(registry: Registry) -> list[Route]:
    async def blob(request: Request) -> Response:
        repository, _ = await registry.authorized(request)
        digest = request.path_params["digest"]

        def find() -> Response:
            found = registry.ask(lambda session: handlers.find_blob(session, repository, digest))
            return blob_reply(request, registry.storage, found)

        return await to_thread.run_sync(find, limiter=registry.limiter)

    return [Route("/v2/{name:path}/blobs/{digest}", blob)]
