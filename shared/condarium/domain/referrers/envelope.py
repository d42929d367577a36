"""Signatures with the installation's key: ECDSA on P-256 over SHA-256, as cosign makes them with `--key`.

They are deterministic (RFC 6979): signing the same again gives the same bytes, so that doing it twice is doing it once.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from condarium.domain.canonical import canonical_json
from condarium.domain.referrers import BUNDLE

IN_TOTO = "application/vnd.in-toto+json"


class SigningKey:
    """A key pair; `fingerprint` is the sha256 in hex of the public key's DER."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        public = private.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        self.public_pem = pem.decode()

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, text: str) -> "SigningKey":
        """Raises ValueError for what is no such key."""
        key = serialization.load_pem_private_key(text.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("not a key on P-256")
        return cls(key)

    def to_pem(self) -> str:
        """The private half."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def sign(self, message: bytes) -> bytes:
        """ASN.1 DER."""
        return self._private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def verified(public_pem: str, message: bytes, signature: bytes) -> bool:
    """Whether the key has signed it."""
    key = serialization.load_pem_public_key(public_pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sealed_statement(key: SigningKey, statement: bytes) -> dict[str, Any]:
    """A DSSE envelope around an in-toto statement."""
    return {
        "payload": base64.b64encode(statement).decode(),
        "payloadType": IN_TOTO,
        # cosign writes no key id; readers that hold one key look at none
        "signatures": [{"keyid": "", "sig": base64.b64encode(key.sign(pae(IN_TOTO, statement))).decode()}],
    }


def bundle(key: SigningKey, envelope: Mapping[str, Any]) -> bytes:
    """A Sigstore bundle 0.3 of what a key has signed that everybody must know already: no certificate, no log."""
    hint = base64.b64encode(bytes.fromhex(key.fingerprint)).decode()
    plain = [{"sig": one["sig"]} for one in envelope["signatures"]]
    return canonical_json(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {**envelope, "signatures": plain},
        }
    )


def opened(public_pem: str, envelope: Mapping[str, Any]) -> dict[str, Any] | None:
    """The statement of an envelope that the key has signed; None for any other."""
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    signatures = [base64.b64decode(one["sig"]) for one in envelope["signatures"]]
    if not any(verified(public_pem, pae(kind, payload), signature) for signature in signatures):
        return None
    found: dict[str, Any] = json.loads(payload)
    return found
