"""Who somebody is by what they typed into the form, or by what conda-store's client sends."""

import hmac
from typing import Any

from sqlalchemy.orm import Session

from condarium.database import users
from condarium.database.users import Identity
from condarium.domain.access import ADMIN
from condarium.domain.login_claims import RESERVED
from condarium.domain.naming import check_name
from condarium.errors import InvalidInput, NotAuthorized
from services.api.endpoint import Call
from services.api.login import sessions
from services.api.login.sessions import Started

#: conda-store's words
WRONG = "Invalid authentication credentials"
#: of the development login, in `users`
DEVELOPMENT = "development"


def log_in(session: Session, call: Call[Any, Any], username: str, password: str) -> Started:
    """The login that the two are worth. The password is a token, and the name does not matter, as with Basic.

    With the development login and the administrator's token the name does matter: it says as whom.

    Raises NotAuthorized.
    """
    if not password:
        raise NotAuthorized(WRONG)
    if call.gateway.login.development_login and username not in ("", ADMIN.name) and _is_admins(call, password):
        return _as(session, call, username)
    found = call.gateway.authenticator.recognise(session, password)
    if found is None:
        raise NotAuthorized(WRONG)
    return sessions.of_token(session, call, found)


def _is_admins(call: Call[Any, Any], password: str) -> bool:
    token = call.gateway.settings.admin_token
    return hmac.compare_digest(password.encode(errors="surrogatepass"), token.encode())


def _as(session: Session, call: Call[Any, Any], username: str) -> Started:
    try:
        check_name("namespace", username)
    except InvalidInput as error:
        raise NotAuthorized(f"{WRONG}: {error}") from None
    if username in RESERVED:
        raise NotAuthorized(f"{WRONG}: nobody can be called {username!r}")
    # Whoever has the administrator's token may have every namespace.
    identity = Identity(DEVELOPMENT, username, username, username, {}, exclusive=False)
    return sessions.of_user(session, call, users.log_in(session, identity))
