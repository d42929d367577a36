"""From a credential to a principal with all that it may do, in an instant or by one look into the database."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import anyio
from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from condarium.database import Database, roles
from condarium.domain.access import Principal
from condarium.domain.defaults import Defaults, digest
from condarium.http.caller import Caller, tokens

#: how long a principal is believed without a look into the database, where its notification gets lost
BELIEVED_SECONDS = 1.0
_MOST_REMEMBERED = 10_000

#: whose token it is, with its own bindings; None for none of this kind
Recogniser = Callable[[Session, str], Principal | None]


class Authenticator:
    """Makes callers of requests. A wrong, malformed or expired credential is anonymous, as clients expect.

    `recognisers` are the kinds of tokens besides those of the settings, asked in their order. What they say is
    remembered for BELIEVED_SECONDS, or until `forget`, which the feed calls when tokens or role mappings have changed.
    """

    def __init__(
        self,
        defaults: Defaults,
        database: Database,
        *,
        limiter: anyio.CapacityLimiter | None = None,
        recognisers: Sequence[Recogniser] = (),
    ) -> None:
        self.defaults = defaults
        self._database = database
        self._limiter = limiter
        self._recognisers = tuple(recognisers)
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._changes = 0

    async def caller(self, connection: HTTPConnection) -> Caller:
        """Who asks. Raises Unavailable when the database is needed and away."""
        for token in tokens(connection):
            found = await self.principal(token)
            if found is not None:
                return self.as_caller(found)
        return self.as_caller(None)

    async def principal(self, token: str) -> Principal | None:
        """Whose token it is, with all that they may do now."""
        known = self._remembered(token)
        if known is not None:
            return known

        def look() -> Principal | None:
            with self._database.transaction() as session:
                return self.recognise(session, token)

        return await to_thread.run_sync(look, limiter=self._limiter)

    def recognise(self, session: Session, token: str) -> Principal | None:
        """As `principal`, for whoever has a transaction; always asks the database."""
        asked, changes = time.monotonic(), self._changes
        found = self.defaults.recognise(token)
        for recognise in self._recognisers:
            if found is None:
                found = recognise(session, token)
        if found is None or _expired(found):
            return None
        primary = found.primary_namespace or self.defaults.default_namespace
        mapped = roles.bindings_of(session, primary) if found.inherits else ()
        found = self.defaults.standing(found, mapped)
        if len(self._known) >= _MOST_REMEMBERED:
            self.forget()
        elif changes == self._changes:
            # What was read before a change must not outlive it.
            self._known[digest(token)] = asked, found
        return found

    def forget(self) -> None:
        """Whatever is known may have changed."""
        self._changes += 1
        self._known = {}

    def _remembered(self, token: str) -> Principal | None:
        asked, found = self._known.get(digest(token), (0.0, None))
        if found is None or _expired(found) or time.monotonic() > asked + BELIEVED_SECONDS:
            return None
        return found

    def as_caller(self, principal: Principal | None) -> Caller:
        """None is whoever shows nothing that is valid."""
        return Caller(principal or self.defaults.anybody, self.defaults.default_namespace)


def _expired(principal: Principal) -> bool:
    return principal.expires_on is not None and principal.expires_on <= datetime.now(UTC)
