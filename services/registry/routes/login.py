"""`/v2/` and the token endpoint: what `docker login` and each pull begin with."""

from typing import NoReturn
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import Action
from condarium.errors import InvalidInput
from condarium.http.json_reply import JsonReply
from condarium.http.requests import read_body
from services.registry.faults import Unauthorized
from services.registry.registry import Registry
from services.registry.replies import VERSION_HEADER

_FORM_BYTES = 64 * 1024
#: nobody may keep a token for others
_HEADERS = VERSION_HEADER | {"cache-control": "no-store"}
_WRONG = "wrong token: any user name will do, the password is a token of Condarium"
#: which field of an OAuth 2 form holds the credential
_GRANTS = {"password": "password", "refresh_token": "refresh_token"}


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
        """A token for whoever the credentials are; without any, one of the anonymous principal.

        What it may do is decided where it is used, so `scope`, `account` and `client_id` change nothing.
        """
        if request.method == "POST":
            return await _by_form(registry, request)
        caller = await registry.caller(request)
        if "authorization" in request.headers and not caller.principal.is_authenticated:
            _refuse(registry, caller.name, request)
        return JsonReply(registry.tokens.reply(await registry.tokens.credential(request)), headers=_HEADERS)

    return [Route("/v2/", ping), Route("/v2", ping), Route("/v2/token", token, methods=["GET", "POST"])]


async def _by_form(registry: Registry, request: Request) -> Response:
    """The OAuth 2 way, as containerd asks first: the credential stands in the body.

    Raises Unauthorized, InvalidInput, TooLarge, TooManyRequests.
    """
    body = await read_body(request, _FORM_BYTES)
    form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    grant = form.get("grant_type", "")
    if grant not in _GRANTS:
        raise InvalidInput(f"grant_type is {grant[:40]!r}; password and refresh_token are known")
    shown = form.get(_GRANTS[grant], "")
    principal = await registry.tokens.principal(request, shown) if shown else None
    if principal is None:
        _refuse(registry, "anonymous", request)
    request.state.principal = principal.name
    content = registry.tokens.reply(shown) | {"scope": form.get("scope", "")}
    return JsonReply(content, headers=_HEADERS)


def _refuse(registry: Registry, name: str, request: Request) -> NoReturn:
    registry.refused(request, name, action="login", resource="*/*", outcome="failed")
    raise Unauthorized(_WRONG, 'Basic realm="condarium"')
