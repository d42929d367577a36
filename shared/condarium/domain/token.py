"""Tokens as text: JWTs (HS256) with the claims that conda-store's clients read, under a key of their own.

What a token may do is decided by its row in the database, found by `jti`; the claims tell its holder. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ALGORITHM = "HS256"
#: browsers drop cookies above 4096 bytes, name and attributes included
LONGEST_COOKIE = 3800

Bindings = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Claims:
    """`expires_on` is in UTC; `role_bindings` maps ARNs to roles."""

    identity: str
    owner: str
    expires_on: datetime
    primary_namespace: str
    role_bindings: Bindings

    def to_json(self) -> dict[str, Any]:
        return {
            "jti": self.identity,
            "sub": self.owner,
            "exp": int(self.expires_on.timestamp()),
            "primary_namespace": self.primary_namespace,
            "role_bindings": {arn: sorted(roles) for arn, roles in self.role_bindings.items()},
        }


class TokenKey:
    """Signs and reads; every process with the same secret has the same key. Another secret ends all tokens at once."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(SHA256(), length=32, salt=None, info=b"condarium token 1").derive(secret.encode())
        self._key = OctKey.import_key(derived)

    def sign(self, claims: Claims) -> str:
        return jwt.encode({"alg": ALGORITHM}, claims.to_json(), self._key)

    def sign_for_cookie(self, claims: Claims) -> str:
        """As `sign`; bindings that would not fit a cookie are left out: the row has them all."""
        signed = self.sign(claims)
        if len(signed) <= LONGEST_COOKIE:
            return signed
        return self.sign(Claims(claims.identity, claims.owner, claims.expires_on, claims.primary_namespace, {}))

    def read(self, text: str) -> Claims | None:
        """The claims of a token of ours; None for anything else. Whether its time is over is not looked at."""
        # Cheap for what is plainly no JWT: any word may stand in a header.
        if text.count(".") != 2:
            return None
        try:
            found = jwt.decode(text, self._key, algorithms=[ALGORITHM]).claims
            return Claims(
                str(found["jti"]),
                str(found["sub"]),
                datetime.fromtimestamp(int(found["exp"]), UTC),
                str(found["primary_namespace"]),
                dict(found["role_bindings"]),
            )
        except (JoseError, ValueError, KeyError, TypeError, OverflowError):
            return None
