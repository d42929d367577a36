"""The Bearer tokens of the distribution protocol.

docker and podman send credentials only when `/v2/` asked for them, and with Basic they then refuse to pull without
any. With Bearer both work: whoever has no account gets an anonymous token, and `docker login` is told a wrong password.
"""

import base64
import binascii
import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request

from condarium.domain.access import Principal
from condarium.errors import NotAuthorized
from condarium.http.authenticator import Authenticator
from condarium.http.caller import Caller, tokens
from condarium.http.proxies import forwarded_host
from services.registry.attempts import Attempts

LIFETIME_SECONDS = 3600
SERVICE = "condarium"
_NONCE = 12


@dataclass(frozen=True)
class Tokens:
    """Issues and reads tokens; all copies of the registry share the secret.

    A token is the credential that it was got with, sealed. Each use asks anew what that credential is worth, so it
    ends when the credential is revoked, and nobody who sees it learns the credential.
    """

    authenticator: Authenticator
    secret: str = field(repr=False)
    #: guesses of one address; None lets everybody guess
    attempts: Attempts | None = None
    #: host:port as clients see it; empty is the one that each of them used
    external: str = ""

    def __post_init__(self) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"condarium registry token").derive(self.secret.encode())
        object.__setattr__(self, "_cipher", AESGCM(key))

    _cipher: Any = field(init=False, repr=False)

    def issue(self, credential: str | None, *, now: float | None = None) -> str:
        """A token worth what `credential` is worth; None is that of whoever has none."""
        until = int(time.time() if now is None else now) + LIFETIME_SECONDS
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, json.dumps([until, credential]).encode(), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    async def caller(self, request: Request) -> Caller:
        """Who asks: by one of our tokens, or by the credentials that the gateway takes, too.

        Raises TooManyRequests for an address that has shown too many wrong ones.
        """
        for shown in tokens(request):
            opened = self._read(shown)
            if opened is not None:
                credential = opened.credential if opened.is_live else None
                found = await self.authenticator.principal(credential) if credential is not None else None
                return self.authenticator.as_caller(found)
            found = await self.principal(request, shown)
            if found is not None:
                return self.authenticator.as_caller(found)
        return self.authenticator.as_caller(None)

    async def principal(self, request: Request, shown: str) -> Principal | None:
        """Whose credential it is; one that is nobody's counts as a guess. Raises TooManyRequests."""
        if self.attempts is None:
            return await self.authenticator.principal(shown)
        try:
            async with self.attempts.counted(shown, request.client.host if request.client else None):
                found = await self.authenticator.principal(shown)
                if found is None:
                    raise NotAuthorized("nobody has this credential")
                return found
        except NotAuthorized:
            return None

    async def credential(self, request: Request) -> str | None:
        """What of the request is a valid credential, to be issued a token for; None when nothing is."""
        for shown in tokens(request):
            opened = self._read(shown)
            for credential in [opened.credential if opened and opened.is_live else None, shown]:
                if credential is not None and await self.authenticator.principal(credential) is not None:
                    return credential
        return None

    def reply(self, credential: str | None) -> dict[str, Any]:
        """What the token endpoint answers, by the names of both of its specifications."""
        made = self.issue(credential)
        issued_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"token": made, "access_token": made, "expires_in": LIFETIME_SECONDS, "issued_at": issued_at}

    def challenge(self, request: Request, scope: str | None = None) -> str:
        """The WWW-Authenticate header, with an address that the client reaches."""
        wanted = f',scope="{scope}"' if scope else ""
        host = forwarded_host(request) or self.external or request.url.netloc
        return f'Bearer realm="{request.url.scheme}://{host}/v2/token",service="{SERVICE}"{wanted}'

    def _read(self, shown: str) -> "_Opened | None":
        """What is in a token of ours; None for what is none."""
        try:
            raw = base64.b64decode(shown.encode("ascii"), altchars=b"-_", validate=True)
            until, credential = json.loads(self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], None))
        except (ValueError, binascii.Error, InvalidTag):
            return None
        return _Opened(credential, time.time() <= until)


@dataclass(frozen=True)
class _Opened:
    credential: str | None
    is_live: bool
