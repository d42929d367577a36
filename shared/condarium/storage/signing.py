"""Paths that are good for a while: for downloads from a storage that has no signed URLs of its own.

Pure arithmetic: the signature covers the path, the end of its time and the name of the file, nothing else may change.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from condarium.errors import NotAuthorized


def sign(path: str, secret: bytes, expires_at: int, filename: str | None = None) -> str:
    """The query (without `?`) that makes `path` good until `expires_at`, in seconds since 1970."""
    parameters = {"expires": str(expires_at)}
    if filename is not None:
        parameters["filename"] = filename
    parameters["signature"] = _signature(path, secret, str(expires_at), filename)
    return urlencode(parameters)


def verify(path: str, parameters: Mapping[str, str], secret: bytes, now: float) -> str | None:
    """The signed name of the file, or None where none was signed; `parameters` are those of the query, decoded.

    Raises:
        NotAuthorized: no signature, a wrong one, or its time is over.
    """
    expires, signature = parameters.get("expires", ""), parameters.get("signature", "")
    filename = parameters.get("filename")
    expected = _signature(path, secret, expires, filename)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass")):
        raise NotAuthorized("this link was not signed by this server; ask for a new one")
    # Only what we signed comes here, so `expires` is a number.
    if now > int(expires):
        raise NotAuthorized("this link is no longer good; ask for a new one")
    return filename


def _signature(path: str, secret: bytes, expires: str, filename: str | None) -> str:
    # Lengths keep two fields from being read as two others with the same text.
    fields = ["condarium-link-1", path, expires, "" if filename is None else f"={filename}"]
    encoded = [field.encode("utf-8", "surrogatepass") for field in fields]
    message = b"".join(len(field).to_bytes(4, "big") + field for field in encoded)
    return hmac.new(secret, message, hashlib.sha256).hexdigest()
