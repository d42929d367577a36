"""Manifests and indexes by tag and by digest."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.database.images import Manifest
from condarium.domain.access import Action
from condarium.http.caller import Caller
from services.registry import handlers
from services.registry.blobs import blob_headers
from services.registry.names import Repository
from services.registry.negotiation import accepted, choose
from services.registry.registry import Registry
from services.registry.waiting import ClientGone


def routes(registry: Registry) -> list[Route]:
    async def manifest(request: Request) -> Response:
        repository, caller = await registry.authorized(request)
        reference = request.path_params["reference"]
        if ":" in reference:
            found = await registry.within(lambda session: handlers.find_manifest(session, repository, reference))
            return _pulled(registry, request, repository, caller, found)
        try:
            image = await registry.waiting.until_found(
                request,
                lambda: registry.ask(
                    lambda session: handlers.find_image(
                        session, repository, reference, actor=caller.name, deployment=registry.deployment
                    )
                ),
            )
        except ClientGone:
            return Response(status_code=499)
        chosen = choose(image.manifests, accepted(request.headers.getlist("accept")))
        return _pulled(registry, request, repository, caller, chosen)

    return [Route("/v2/{name:path}/manifests/{reference}", manifest)]


def _pulled(
    registry: Registry, request: Request, repository: Repository, caller: Caller, manifest: Manifest
) -> Response:
    """The manifest, counted as a pull where it is sent."""
    reply = _reply(request, manifest)
    if request.method == "GET" and reply.status_code == 200:
        registry.tallies.fetched(
            principal=caller.name, action=Action.PULL_IMAGE, resource=repository.arn, digest=manifest.digest
        )
    return reply


def _reply(request: Request, manifest: Manifest) -> Response:
    etag = f'"sha256:{manifest.digest}"'
    headers = blob_headers(manifest.digest) | {"etag": etag, "vary": "Accept"}
    if ":" not in request.path_params["reference"]:
        headers["cache-control"] = "private, no-cache"
    known = [item.strip() for item in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(manifest.body, headers=headers | {"content-type": manifest.media_type})
