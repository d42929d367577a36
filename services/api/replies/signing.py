"""The shapes of signing keys."""

from typing import Literal

from services.api.replies.envelopes import Moment, Sha256, Shown


class SigningKey(Shown):
    """A public key in PEM; `fingerprint` is the sha256 of its DER. RETIRED ones sign no more; their signatures hold."""

    id: int
    fingerprint: Sha256
    state: Literal["ACTIVE", "RETIRED"]
    algorithm: str
    public_key: str
    created_on: Moment
    created_by: str
    retired_on: Moment | None
    retired_by: str | None


class AskedSignatures(Shown):
    builds: int
