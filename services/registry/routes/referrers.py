"""What refers to a manifest."""

import re
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.image.index import OCI_INDEX
from services.registry import referrers
from services.registry.digests import as_sha256
from services.registry.faults import ManifestUnknown, PaginationInvalid
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER

_HEX = re.compile(r"[0-9a-f]{64}\Z")


def routes(registry: Registry) -> list[Route]:
    async def list_referrers(request: Request) -> Response:
        """An index, with nothing in it for what is not known: the specification wants no 404 here."""
        repository, _ = await registry.authorized(request)
        reference = request.path_params["digest"]
        artifact_type = request.query_params.get("artifactType")
        after = request.query_params.get("last", "")
        if after and not _HEX.match(after):
            raise PaginationInvalid("last is the digest in hex behind which the page begins")
        try:
            digest = (await as_sha256(registry, repository, reference, ManifestUnknown)).removeprefix("sha256:")
        except ManifestUnknown:
            page = referrers.empty()
        else:
            if "\0" in (artifact_type or ""):
                raise PaginationInvalid("artifactType is a media type; it holds no NUL")
            page = await registry.within(
                lambda session: referrers.listed(session, repository, digest, artifact_type, after)
            )
        # whoever builds again adds to it, so it is asked for each time
        headers = VERSION_HEADER | {"cache-control": "private, no-cache"}
        if artifact_type is not None:
            headers["oci-filters-applied"] = "artifactType"
        if page.following:
            more = {"artifactType": artifact_type} if artifact_type is not None else {}
            query = urlencode({**more, "last": page.following})
            headers["link"] = f'</v2/{repository.text}/referrers/{reference}?{query}>; rel="next"'
        return Response(page.body, headers=headers | {"content-type": OCI_INDEX})

    return [Route("/v2/{name:path}/referrers/{digest}", list_referrers)]
