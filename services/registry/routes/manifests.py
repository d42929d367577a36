"""Manifests and indexes by tag and by digest."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.database.images import Manifest
from condarium.domain import on_demand
from condarium.domain.access import Action
from condarium.http.caller import Caller
from services.registry import demanding, handlers, referrers
from services.registry.demanding import Puller
from services.registry.digests import as_sha256
from services.registry.faults import ManifestUnknown
from services.registry.handlers import Found, Pending
from services.registry.names import Repository
from services.registry.negotiation import accepted, choose
from services.registry.rates import MANIFESTS
from services.registry.registry import Registry, address_of
from services.registry.replies import content_headers, is_known
from services.registry.waiting import ClientGone


def routes(registry: Registry) -> list[Route]:
    async def manifest(request: Request) -> Response:
        repository, caller = await registry.authorized(request, MANIFESTS)
        reference = request.path_params["reference"]
        if ":" in reference:
            digest = await as_sha256(registry, repository, reference, ManifestUnknown)
            found = await registry.remembered.answer(
                ("manifest", repository.arn, digest),
                lambda session: handlers.find_manifest(session, repository, digest),
            )
            await _note(registry, repository, found)
            return _pulled(registry, request, repository, caller, found)
        if referrers.is_tag(reference):
            found = await registry.within(lambda session: referrers.tagged(session, repository, reference))
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


async def _look(registry: Registry, repository: Repository, tag: str, puller: Puller) -> Found | Pending:
    """What the tag means now. What is asked for by its packages is asked each time: by whom decides, and is counted."""
    if repository.asked is not None:
        return await registry.within(
            lambda session: demanding.find_image(session, repository, tag, puller, deployment=registry.deployment)
        )
    return await registry.remembered.answer(
        ("tag", repository.arn, tag),
        lambda session: handlers.find_image(session, repository, tag, actor=puller.caller.name),
        keep=lambda found: isinstance(found, Found),
    )


async def _note(registry: Registry, repository: Repository, manifest: Manifest) -> None:
    """What others asked for by its packages is kept as long as it is pulled."""
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
    reference = request.path_params["reference"]
    by_digest = ":" in reference
    headers = content_headers(manifest.digest, reference if by_digest else None) | {"vary": "Accept"}
    if not by_digest:
        headers["cache-control"] = "private, no-cache"
    if is_known(request, manifest.digest):
        return Response(status_code=304, headers=headers)
    headers |= {"content-type": manifest.media_type, "content-length": str(len(manifest.body))}
    return Response(manifest.body if request.method == "GET" else b"", headers=headers)
