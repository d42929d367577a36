"""The repositories that the caller may pull from."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import Action
from condarium.http.json_reply import JsonReply
from services.registry import handlers
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER, asked_limit

#: the most repositories of one reply
CATALOG_ROWS = 1000


def routes(registry: Registry) -> list[Route]:
    async def catalog(request: Request) -> Response:
        """Of whatever namespace, in pages."""
        caller = await registry.caller(request)
        asked = asked_limit(request.query_params.get("n"))
        limit = CATALOG_ROWS if asked is None else min(asked, CATALOG_ROWS)
        last = request.query_params.get("last", "")
        shown = caller.visible(Action.PULL_IMAGE)
        found = await registry.within(
            lambda session: handlers.catalog(session, shown, last, registry.settings.default_namespace, limit + 1)
        )
        reply = JsonReply({"repositories": found[:limit]}, headers=VERSION_HEADER)
        if limit and len(found) > limit:
            reply.headers["link"] = f'</v2/_catalog?n={limit}&last={quote(found[limit - 1], safe="")}>; rel="next"'
        return reply

    return [Route("/v2/_catalog", catalog)]
