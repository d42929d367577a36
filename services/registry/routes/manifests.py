"""Manifests and indexes by tag and by digest."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.database.images import Manifest
from condarium.domain import on_demand
from condarium.domain.access import Action
from condarium.http.caller import Caller
from services.registry import demanding, handlers
from services.registry.blobs import blob_headers
from services.registry.demanding import Puller
from services.registry.handlers import Found, Pending
from services.registry.names import Repository
from services.registry.negotiation import accepted, choose
from services.registry.registry import Registry, address_of
from services.registry.waiting import ClientGone


def routes(registry: Registry) -> list[Route]:
    async def manifest(request: Request) -> Response:
        repository, caller = await registry.authorized(request)
        reference = request.path_params["reference"]
        if ":" in reference:
            found = await registry.within(lambda session: handlers.find_manifest(session, repository, reference))
            await _note(registry, repository, found)
            return _pulled(registry, request, repository, caller, found)
        try:
            puller = Puller(caller, address_of(request), registry.tokens.challenge(request, repository.scope))
            image = await registry.waiting.until_found(request, lambda: _look(registry, repository, reference, puller))
        except ClientGone:
            return Response(status_code=499)
        chosen = choose(image.manifests, accepted(request.headers.getlist("accept")))
        await _note(registry, repository, chosen)
        return _pulled(registry, request, repository, caller, chosen)

    return [Route("/v2/{name:path}/manifests/{reference}", manifest)]


def _look(registry: Registry, repository: Repository, tag: str, puller: Puller) -> Found | Pending:
    """What the tag means now; by packages it depends on who asks, too."""
    if repository.asked is None:
        return registry.ask(lambda session: handlers.find_image(session, repository, tag, actor=puller.caller.name))
    return registry.ask(
        lambda session: demanding.find_image(session, repository, tag, puller, deployment=registry.deployment)
    )


async def _note(registry: Registry, repository: Repository, manifest: Manifest) -> None:
    """Images by packages live for as long as they are pulled."""
    if repository.namespace == on_demand.NAMESPACE:
        await registry.within(lambda session: demanding.note_pull(session, repository, manifest.digest))


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
