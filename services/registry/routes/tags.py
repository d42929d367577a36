"""The tags of a repository."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.http.json_reply import JsonReply
from services.registry import handlers
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER, asked_limit


def routes(registry: Registry) -> list[Route]:
    async def tags(request: Request) -> Response:
        repository, _ = await registry.authorized(request)
        limit = asked_limit(request.query_params.get("n"))
        last = request.query_params.get("last", "")
        every = await registry.within(lambda session: handlers.list_tags(session, repository))
        rest = [tag for tag in every if tag > last] if last else every
        page = rest if limit is None else rest[:limit]
        reply = JsonReply({"name": repository.text, "tags": page}, headers=VERSION_HEADER)
        if limit and len(rest) > limit:
            following = f"/v2/{repository.text}/tags/list?n={limit}&last={quote(page[-1], safe='')}"
            reply.headers["link"] = f'<{following}>; rel="next"'
        return reply

    return [Route("/v2/{name:path}/tags/list", tags)]
