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
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request

from condarium.http.authenticator import Authenticator
from condarium.http.caller import Caller, tokens

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
        """Who asks: by one of our tokens, or by the credentials that the gateway takes, too."""
        for shown in tokens(request):
            for credential in self._read(shown):
                found = await self.authenticator.principal(credential) if credential is not None else None
                return self.authenticator.as_caller(found)
        return await self.authenticator.caller(request)

    async def credential(self, request: Request) -> str | None:
        """What of the request is a valid credential, to be issued a token for; None when nothing is."""
        for shown in tokens(request):
            for credential in [*self._read(shown), shown]:
                if credential is not None and await self.authenticator.principal(credential) is not None:
                    return credential
        return None

    def challenge(self, request: Request, scope: str | None = None) -> str:
        """The WWW-Authenticate header; the address is the one that the client itself used."""
        wanted = f',scope="{scope}"' if scope else ""
        return f'Bearer realm="{request.url.scheme}://{request.url.netloc}/v2/token",service="{SERVICE}"{wanted}'

    def _read(self, shown: str) -> list[str | None]:
        """The credential in a token of ours, as the only item; nothing for what is none, or has ended."""
        try:
            raw = base64.b64decode(shown.encode("ascii"), altchars=b"-_", validate=True)
            until, credential = json.loads(self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], None))
        except (ValueError, binascii.Error, InvalidTag):
            return []
        return [credential] if time.time() <= until else []
