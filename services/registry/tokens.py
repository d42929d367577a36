"""The Bearer tokens of the distribution protocol.

docker and podman send credentials only when `/v2/` asked for them, and with Basic they then refuse to pull without
any. With Bearer both work: whoever has no account gets an anonymous token, and `docker login` is told a wrong password.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass

from starlette.requests import Request

from condarium.domain.access import ADMIN, ANONYMOUS, Principal
from condarium.http.caller import Authenticator, Caller, tokens

LIFETIME_SECONDS = 3600
SERVICE = "condarium"


@dataclass(frozen=True)
class Tokens:
    """Issues and reads tokens; all copies of the registry share the secret. A new admin token ends the old ones."""

    authenticator: Authenticator
    secret: str

    def issue(self, principal: Principal, *, now: float | None = None) -> str:
        until = int(time.time() if now is None else now) + LIFETIME_SECONDS
        text = f"{principal.name}.{until}"
        return f"{text}.{self._signature(text)}"

    def caller(self, request: Request) -> Caller:
        """Who asks: by one of our tokens, or by the credentials that the gateway takes, too."""
        for shown in tokens(request):
            principal = self._read(shown)
            if principal is not None:
                return Caller(principal, self.authenticator.default_namespace)
        return self.authenticator.caller(request)

    def challenge(self, request: Request, scope: str | None = None) -> str:
        """The WWW-Authenticate header; the address is the one that the client itself used."""
        scheme = request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip()
        wanted = f',scope="{scope}"' if scope else ""
        return f'Bearer realm="{scheme}://{request.url.netloc}/v2/token",service="{SERVICE}"{wanted}'

    def _read(self, shown: str) -> Principal | None:
        text, _, signature = shown.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        name, _, until = text.partition(".")
        if time.time() > int(until):
            return None
        return {ADMIN.name: ADMIN, ANONYMOUS.name: ANONYMOUS}.get(name)

    def _signature(self, text: str) -> str:
        key = hashlib.sha256(f"registry-token/{self.secret}/{self.authenticator.admin_token}".encode()).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
