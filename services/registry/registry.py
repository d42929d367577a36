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
from services.registry.attempts import Attempts
from services.registry.config import UNSET_EXTERNAL, Settings, defaults, limits
from services.registry.faults import NameUnknown, Unauthorized
from services.registry.hashing import Hashing
from services.registry.names import Repository, parse_repository
from services.registry.rates import LISTS, Rates
from services.registry.remembered import Remembered
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
        attempts = Attempts(
            self.database,
            settings.secret,
            limiter,
            limit=settings.login_address_attempts,
            window_seconds=settings.login_window_seconds,
        )
        external = settings.registry_external if settings.registry_external != UNSET_EXTERNAL else ""
        object.__setattr__(self, "tokens", Tokens(authenticator, settings.secret, attempts, external))
        object.__setattr__(self, "rates", Rates(limits(settings)))
        object.__setattr__(self, "remembered", Remembered(self.database, limiter))
        object.__setattr__(self, "hashing", Hashing(self.database, self.storage))
        self.feed.when(roles.CHANNEL, authenticator.forget)
        object.__setattr__(self, "tallies", Tallies(self.database))
        object.__setattr__(self, "waiting", Waiting(self.feed, seconds=seconds, poll_seconds=poll))

    tokens: Tokens = field(init=False)
    tallies: Tallies = field(init=False)
    held_tokens: HeldTokens = field(init=False)
    proxies: tuple[Network, ...] = field(init=False)
    waiting: Waiting = field(init=False)
    limiter: anyio.CapacityLimiter = field(init=False)
    rates: Rates = field(init=False)
    remembered: Remembered = field(init=False)
    hashing: Hashing = field(init=False)

    def ask(self, question: Callable[[Session], T]) -> T:
        """In one transaction; blocks."""
        with self.database.transaction() as session:
            return question(session)

    async def within(self, question: Callable[[Session], T]) -> T:
        """As `ask`, in a thread."""
        return await to_thread.run_sync(self.ask, question, limiter=self.limiter)

    async def caller(self, request: Request, kind: str = LISTS) -> Caller:
        """Who asks, counted against the limit of that kind of requests. Raises TooManyRequests."""
        caller = await self.tokens.caller(request)
        request.state.principal = caller.name
        self.rates.take(kind, caller.name if caller.principal.is_authenticated else None, address_of(request))
        return caller

    async def authorized(self, request: Request, kind: str = LISTS) -> tuple[Repository, Caller]:
        """The repository of the path, if the caller may pull from it; existing or not is not told apart.

        `kind` is of `rates`. Raises NameInvalid, NameUnknown, Unauthorized, TooManyRequests.
        """
        caller = await self.caller(request, kind)
        repository = parse_repository(request.path_params["name"], self.settings.default_namespace)
        if caller.may(Action.PULL_IMAGE, repository.namespace, repository.environment):
            return repository, caller
        if "authorization" in request.headers:
            # docker's first request of each pull shows nothing yet; that is no attempt
            self.refused(request, caller.name, action=Action.PULL_IMAGE, resource=repository.arn)
        if caller.principal.is_authenticated:
            raise NameUnknown(handlers.unknown(repository))
        raise Unauthorized(
            f"{repository.text} is not public; log in with a token as the password (docker login)",
            self.tokens.challenge(request, repository.scope),
        )

    def refused(self, request: Request, principal: str, *, action: str, resource: str, outcome: str = "denied") -> None:
        """Noted for the audit log."""
        self.tallies.denied(
            principal=principal, action=action, resource=resource, address=address_of(request), outcome=outcome
        )


def address_of(request: Request) -> str | None:
    """Whoever asks, behind the trusted proxies."""
    return request.client.host if request.client else None
