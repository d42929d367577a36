"""`/v2/` and the token endpoint: what `docker login` and each pull begin with."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import Action
from condarium.http.json_reply import JsonReply
from services.registry.faults import Unauthorized
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER
from services.registry.tokens import LIFETIME_SECONDS


def routes(registry: Registry) -> list[Route]:
    async def ping(request: Request) -> Response:
        """Asks for a token, because docker clients never send credentials to a registry that did not."""
        caller = await registry.caller(request)
        default = registry.settings.default_namespace
        welcome = caller.may(Action.PULL_IMAGE, default) or caller.principal.is_authenticated
        if "authorization" not in request.headers or not welcome:
            raise Unauthorized("get a token first", registry.tokens.challenge(request))
        return JsonReply({}, headers=VERSION_HEADER)

    async def token(request: Request) -> Response:
        """A token for whoever the credentials are; without any, one of the anonymous principal."""
        caller = await registry.caller(request)
        if "authorization" in request.headers and not caller.principal.is_authenticated:
            raise Unauthorized(
                "wrong token: any user name will do, the password is a token of Condarium", 'Basic realm="condarium"'
            )
        made = registry.tokens.issue(await registry.tokens.credential(request))
        return JsonReply({"token": made, "access_token": made, "expires_in": LIFETIME_SECONDS})

    return [Route("/v2/", ping), Route("/v2", ping), Route("/v2/token", token)]
