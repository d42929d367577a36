"""What the process is made of, and the questions that every route asks: who calls, may they, and what is there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.requests import Request

from condarium.database import Database, roles
from condarium.domain.access import Action
from condarium.domain.token import TokenKey
from condarium.http.authenticator import Authenticator
from condarium.http.caller import Caller
from condarium.http.feed import Feed
from condarium.http.held_tokens import HeldTokens
from condarium.http.operating import Check
from condarium.http.proxies import Network, networks
from condarium.http.tallies import Tallies
from condarium.storage import Storage
from services.registry import handlers
from services.registry.config import Settings, defaults
from services.registry.faults import NameUnknown, Unauthorized
from services.registry.names import Repository, parse_repository
from services.registry.tokens import Tokens
from services.registry.waiting import Waiting

T = TypeVar("T")


@dataclass(frozen=True)
class Registry:
    """Wired in `__main__`; each subject's routes get it."""

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
        """As `ask`, in a thread."""
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
        if caller.may(Action.PULL_IMAGE, repository.namespace, repository.environment):
            return repository, caller
        if "authorization" in request.headers:
            # docker's first request of each pull shows nothing yet; that is no attempt
            self.tallies.denied(
                principal=caller.name, action=Action.PULL_IMAGE, resource=repository.arn, address=address_of(request)
            )
        if caller.principal.is_authenticated:
            raise NameUnknown(handlers.unknown(repository))
        raise Unauthorized(
            f"{repository.text} is not public; log in with a token as the password (docker login)",
            self.tokens.challenge(request, repository.scope),
        )


def address_of(request: Request) -> str | None:
    """Whoever asks, behind the trusted proxies."""
    return request.client.host if request.client else None
