"""The edge: routes of the OCI distribution API. Translates; decides nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import Database, roles
from condarium.database.images import Manifest
from condarium.domain.access import Action
from condarium.domain.image.index import OCI_INDEX
from condarium.domain.token import TokenKey
from condarium.errors import CondariumError
from condarium.http import operating
from condarium.http.authenticator import Authenticator
from condarium.http.caller import Caller
from condarium.http.faults import Surprises
from condarium.http.feed import Feed
from condarium.http.held_tokens import HeldTokens
from condarium.http.json_reply import JsonReply
from condarium.http.operating import Check
from condarium.http.proxies import Network, Proxies, networks
from condarium.http.requests import AccessLog
from condarium.http.tallies import Tallies
from condarium.storage import Storage
from services.registry import handlers, replies
from services.registry.blobs import blob_headers, blob_reply
from services.registry.config import Settings, defaults
from services.registry.faults import NameUnknown, PaginationInvalid, Unauthorized
from services.registry.names import Repository, parse_repository
from services.registry.negotiation import accepted, choose
from services.registry.replies import VERSION_HEADER
from services.registry.tokens import LIFETIME_SECONDS, Tokens
from services.registry.waiting import ClientGone, Waiting

T = TypeVar("T")

#: the most repositories of one reply
CATALOG_ROWS = 1000


@dataclass(frozen=True)
class Registry:
    """What the process is made of, wired in `__main__`."""

    settings: Settings
    database: Database
    storage: Storage
    feed: Feed
    checks: Mapping[str, Check] = field(default_factory=dict)
    #: the settings of the deployment by their keys (`Deployment.values`)
    deployment: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        # requests wait here rather than in threads: there are never more of these than connections
        limiter = anyio.CapacityLimiter(settings.database_pool_size)
        seconds, poll = settings.registry_wait_seconds, settings.poll_seconds
        object.__setattr__(self, "limiter", limiter)
        standing = defaults(settings)
        held = HeldTokens(TokenKey(settings.secret), standing, self.database)
        authenticator = Authenticator(standing, self.database, limiter=limiter, recognisers=[held.recognise])
        object.__setattr__(self, "held_tokens", held)
        object.__setattr__(self, "proxies", networks(settings.trusted_proxies))
        object.__setattr__(self, "tokens", Tokens(authenticator, settings.secret))
        self.feed.when(roles.CHANNEL, authenticator.forget)
        object.__setattr__(self, "tallies", Tallies(self.database))
        object.__setattr__(self, "waiting", Waiting(self.feed, limiter, seconds=seconds, poll_seconds=poll))

    tokens: Tokens = field(init=False)
    tallies: Tallies = field(init=False)
    held_tokens: HeldTokens = field(init=False)
    proxies: tuple[Network, ...] = field(init=False)
    waiting: Waiting = field(init=False)
    limiter: anyio.CapacityLimiter = field(init=False)

    def ask(self, question: Callable[[Session], T]) -> T:
        """In one transaction; blocks."""
        with self.database.transaction() as session:
            return question(session)

    async def within(self, question: Callable[[Session], T]) -> T:
        return await to_thread.run_sync(self.ask, question, limiter=self.limiter)

    async def caller(self, request: Request) -> Caller:
        caller = await self.tokens.caller(request)
        request.state.principal = caller.name
        return caller

    async def authorized(self, request: Request) -> tuple[Repository, Caller]:
        """The repository of the path, if the caller may pull from it; existing or not is not told apart.

        Raises NameInvalid, NameUnknown, Unauthorized.
        """
        caller = await self.caller(request)
        repository = parse_repository(request.path_params["name"], self.settings.default_namespace)
        actions = [Action.PULL_IMAGE, *([Action.CREATE_ENVIRONMENT] if repository.packages else [])]
        refused = [each for each in actions if not caller.may(each, repository.namespace, repository.environment)]
        if not refused:
            return repository, caller
        if "authorization" in request.headers:
            # docker's first request of each pull shows nothing yet; that is no attempt
            self.tallies.denied(
                principal=caller.name, action=refused[0], resource=repository.arn, address=_address(request)
            )
        if caller.principal.is_authenticated:
            raise NameUnknown(handlers.unknown(repository))
        raise Unauthorized(
            f"{repository.text} is not public; log in with a token as the password (docker login)",
            self.tokens.challenge(request, repository.scope),
        )

    # -- routes --------------------------------------------------------------------------------------------------

    async def ping(self, request: Request) -> Response:
        """Asks for a token, because docker clients never send credentials to a registry that did not."""
        caller = await self.caller(request)
        welcome = caller.may(Action.PULL_IMAGE, self.settings.default_namespace) or caller.principal.is_authenticated
        if "authorization" not in request.headers or not welcome:
            raise Unauthorized("get a token first", self.tokens.challenge(request))
        return JsonReply({}, headers=VERSION_HEADER)

    async def token(self, request: Request) -> Response:
        """A token for whoever the credentials are; without any, one of the anonymous principal."""
        caller = await self.caller(request)
        if "authorization" in request.headers and not caller.principal.is_authenticated:
            raise Unauthorized(
                "wrong token: any user name will do, the password is a token of Condarium", 'Basic realm="condarium"'
            )
        token = self.tokens.issue(await self.tokens.credential(request))
        return JsonReply({"token": token, "access_token": token, "expires_in": LIFETIME_SECONDS})

    async def manifest(self, request: Request) -> Response:
        repository, caller = await self.authorized(request)
        reference = request.path_params["reference"]
        if ":" in reference:
            found = await self.within(lambda session: handlers.find_manifest(session, repository, reference))
            return self._pulled(request, repository, caller, found)
        try:
            image = await self.waiting.until_found(
                request,
                lambda: self.ask(
                    lambda session: handlers.find_image(
                        session, repository, reference, actor=caller.name, deployment=self.deployment
                    )
                ),
            )
        except ClientGone:
            return Response(status_code=499)
        chosen = choose(image.manifests, accepted(request.headers.getlist("accept")))
        return self._pulled(request, repository, caller, chosen)

    def _pulled(self, request: Request, repository: Repository, caller: Caller, manifest: Manifest) -> Response:
        """The manifest, counted as a pull where it is sent."""
        reply = _manifest_reply(request, manifest)
        if request.method == "GET" and reply.status_code == 200:
            self.tallies.fetched(
                principal=caller.name, action=Action.PULL_IMAGE, resource=repository.arn, digest=manifest.digest
            )
        return reply

    async def blob(self, request: Request) -> Response:
        repository, _ = await self.authorized(request)
        digest = request.path_params["digest"]

        def find() -> Response:
            found = self.ask(lambda session: handlers.find_blob(session, repository, digest))
            return blob_reply(request, self.storage, found)

        return await to_thread.run_sync(find, limiter=self.limiter)

    async def tags(self, request: Request) -> Response:
        repository, _ = await self.authorized(request)
        limit = _limit(request.query_params.get("n"))
        last = request.query_params.get("last", "")
        every = await self.within(lambda session: handlers.list_tags(session, repository))
        rest = [tag for tag in every if tag > last] if last else every
        page = rest if limit is None else rest[:limit]
        reply = JsonReply({"name": repository.text, "tags": page}, headers=VERSION_HEADER)
        if limit and len(rest) > limit:
            following = f"/v2/{repository.text}/tags/list?n={limit}&last={quote(page[-1], safe='')}"
            reply.headers["link"] = f'<{following}>; rel="next"'
        return reply

    async def catalog(self, request: Request) -> Response:
        """The repositories that the caller may pull from, of whatever namespace."""
        caller = await self.caller(request)
        limit = min(_limit(request.query_params.get("n")) or CATALOG_ROWS, CATALOG_ROWS)
        last = request.query_params.get("last", "")
        shown = caller.visible(Action.PULL_IMAGE)
        found = await self.within(
            lambda session: handlers.catalog(session, shown, last, self.settings.default_namespace, limit + 1)
        )
        reply = JsonReply({"repositories": found[:limit]}, headers=VERSION_HEADER)
        if len(found) > limit:
            reply.headers["link"] = f'</v2/_catalog?n={limit}&last={quote(found[limit - 1], safe="")}>; rel="next"'
        return reply

    async def referrers(self, request: Request) -> Response:
        """Nothing refers to our images yet; the specification wants an empty index, for unknown digests, too."""
        await self.authorized(request)
        handlers.check_digest(request.path_params["digest"])
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        headers = VERSION_HEADER | {"content-type": OCI_INDEX}
        if "artifactType" in request.query_params:
            headers["oci-filters-applied"] = "artifactType"
        return JsonReply(body, headers=headers)


def _manifest_reply(request: Request, manifest: Manifest) -> Response:
    etag = f'"sha256:{manifest.digest}"'
    headers = blob_headers(manifest.digest) | {"etag": etag, "vary": "Accept"}
    if ":" not in request.path_params["reference"]:
        headers["cache-control"] = "private, no-cache"
    known = [item.strip() for item in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(manifest.body, headers=headers | {"content-type": manifest.media_type})


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _limit(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isdecimal() or len(text) > 9:
        raise PaginationInvalid("n is the number of tags to list, 0 or more")
    return int(text)


@contextlib.asynccontextmanager
async def _running(registry: Registry) -> AsyncIterator[None]:
    task = asyncio.create_task(registry.feed.run())
    try:
        async with registry.tallies.running(), registry.held_tokens.running():
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def make_app(registry: Registry) -> Starlette:
    """The application; its lifespan runs the feed, and writes the tallies and last uses."""
    routes = [
        *operating.routes(registry.checks),
        Route("/v2/", registry.ping),
        Route("/v2", registry.ping),
        Route("/v2/token", registry.token),
        Route("/v2/_catalog", registry.catalog),
        Route("/v2/{name:path}/manifests/{reference}", registry.manifest),
        Route("/v2/{name:path}/blobs/{digest}", registry.blob),
        Route("/v2/{name:path}/tags/list", registry.tags),
        Route("/v2/{name:path}/referrers/{digest}", registry.referrers),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Proxies, trusted=registry.proxies),
            Middleware(AccessLog),
            Middleware(Surprises, render=replies.render),
        ],
        exception_handlers={CondariumError: replies.on_condarium_error, HTTPException: replies.on_http_exception},
        lifespan=lambda _: _running(registry),
    )
    # the protocol has no two spellings of an address
    app.router.redirect_slashes = False
    return app
