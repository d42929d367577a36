"""What refers to a manifest."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.image.index import OCI_INDEX
from condarium.http.json_reply import JsonReply
from services.registry import handlers
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER


def routes(registry: Registry) -> list[Route]:
    async def referrers(request: Request) -> Response:
        """Nothing refers to our images yet; the specification wants an empty index, for unknown digests, too."""
        await registry.authorized(request)
        handlers.check_digest(request.path_params["digest"])
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        headers = VERSION_HEADER | {"content-type": OCI_INDEX}
        if "artifactType" in request.query_params:
            headers["oci-filters-applied"] = "artifactType"
        return JsonReply(body, headers=headers)

    return [Route("/v2/{name:path}/referrers/{digest}", referrers)]
