"""Sealing short secrets for the database: AES-GCM under a key that is derived from CONDARIUM_SECRET. Pure."""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from condarium.errors import Unavailable

_NONCE_BYTES = 12


@dataclass(frozen=True)
class Sealed:
    """`key_id` names the key without telling of it; `data` is base64 of nonce and ciphertext."""

    key_id: str
    data: str


class CannotOpen(Unavailable):
    """It was sealed under another secret, for something else, or was changed since."""


class Vault:
    """Seals with `secret`; opens what was sealed with it or, after the secret was changed, with `previous`."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        keys = [_derive(each, b"condarium credentials v1") for each in (secret, previous) if each]
        self._keys = {_identify(key): key for key in reversed(keys)}
        self.key_id = _identify(keys[0])
        self._fingerprints = _derive(secret, b"condarium credential fingerprints v1")

    def seal(self, text: str, context: str) -> Sealed:
        """Opens again only with the same `context`: a row whose content was exchanged for another's does not open."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self.key_id]).encrypt(nonce, text.encode(), context.encode())
        return Sealed(self.key_id, base64.b64encode(nonce + sealed).decode())

    def knows(self, key_id: str) -> bool:
        return key_id in self._keys

    def open(self, sealed: Sealed, context: str) -> str:
        """Raises CannotOpen."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise CannotOpen(
                "it was encrypted under another CONDARIUM_SECRET; start the services with that one as "
                "CONDARIUM_SECRET_PREVIOUS, or set the credential anew"
            )
        try:
            raw = base64.b64decode(sealed.data, validate=True)
            return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("its row was changed by somebody else; set the credential anew") from None

    def fingerprint(self, *texts: str) -> str:
        """16 hex digits that are the same for the same texts, and tell nothing of them without the secret."""
        message = b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts)
        return hmac.new(self._fingerprints, message, hashlib.sha256).hexdigest()[:16]


def _derive(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def _identify(key: bytes) -> str:
    return hashlib.sha256(b"condarium key id" + key).hexdigest()[:12]
