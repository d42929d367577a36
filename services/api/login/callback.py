"""The journey to the login provider and back. What has to be known again on the way back is in a signed cookie."""

from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session
from starlette.responses import Response

from condarium.database import users
from condarium.database.users import Identity
from condarium.domain.access import bindings_as_json
from condarium.domain.login_claims import Rules, namespace_for, principal_name
from condarium.errors import NotAuthorized
from services.api.config import login_rules
from services.api.endpoint import Call, Gateway
from services.api.login import page, places, sessions
from services.api.login.form import NextQuery
from services.api.login.provider import Person, Provider, ProviderAway, StateMismatch
from services.api.login.sessions import Started

COOKIE = "condarium-login"
JOURNEY_SECONDS = 600


class Journey:
    """The routes of one provider."""

    def __init__(self, gateway: Gateway) -> None:
        self.provider = Provider(gateway.login)
        self._rules: Rules = login_rules(gateway.login)
        self._signer = URLSafeTimedSerializer(gateway.settings.secret, salt="condarium login journey")

    async def begin(self, call: Call[NextQuery, Any]) -> Response:
        """To the provider; or the form, where a token is wanted instead."""
        place = places.after(call, call.query.next)
        kept: dict[str, Any] = {}
        call.request.scope["session"] = kept
        try:
            reply = await self.provider.redirect(call.request, places.callback(call))
        except ProviderAway as error:
            return _notice(call, "The login provider is away", error, place)
        value = self._signer.dumps({"session": kept, "next": place})
        # Lax: the way back begins on the provider's page.
        reply.set_cookie(COOKIE, str(value), max_age=JOURNEY_SECONDS, **self._attributes(call.gateway))
        reply.headers["cache-control"] = "no-store"
        return reply

    async def come_back(self, call: Call[Any, Any]) -> Response:
        """Whoever the provider sent back is logged in. 401 when they did not set out here."""
        place, call.request.scope["session"] = self._kept(call)
        try:
            person = await self.provider.person(call.request)
            self._rules.check_allowed(person.claims)
            started = await call.within(lambda session: self._log_in(session, call, person))
        except StateMismatch as error:
            return _notice(call, "This login cannot go on", error, place)
        except NotAuthorized as error:
            call.gateway.tallies.denied(
                principal="anonymous", action="login", resource="*/*", address=call.address, outcome="failed"
            )
            return _notice(call, "No login", error, place)
        except ProviderAway as error:
            return _notice(call, "The login provider is away", error, place)
        reply = page.onwards(call, place)
        sessions.set_cookie(call, reply, started)
        # Used up.
        reply.delete_cookie(COOKIE, **self._attributes(call.gateway))
        return reply

    def _kept(self, call: Call[Any, Any]) -> tuple[str, dict[str, Any]]:
        try:
            found = self._signer.loads(call.request.cookies.get(COOKIE, ""), max_age=JOURNEY_SECONDS)
            return str(found["next"]), dict(found["session"])
        except (BadSignature, ValueError, KeyError, TypeError):
            return call.link("/"), {}

    def _log_in(self, session: Session, call: Call[Any, Any], person: Person) -> Started:
        username = self._rules.username(person.claims)
        primary = namespace_for(username)
        name = principal_name(username, self.provider.kind)
        given, elsewhere = (bindings_as_json(self._rules.given(person.claims, own)) for own in (primary, ""))
        identity = Identity(person.issuer, person.subject, name, primary, given, elsewhere)
        return sessions.of_user(session, call, users.log_in(session, identity))

    def _attributes(self, gateway: Gateway) -> dict[str, Any]:
        return {
            "path": places.cookie_path(gateway),
            "secure": places.is_secure(gateway),
            "httponly": True,
            "samesite": "lax",
        }


def _notice(
    call: Call[Any, Any], title: str, error: StateMismatch | NotAuthorized | ProviderAway, place: str
) -> Response:
    reply = page.notice(call, title, str(error), place, error.status)
    if error.status == 503:
        reply.headers["retry-after"] = "10"
    return reply
