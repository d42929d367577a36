"""Signing keys."""

from condarium.client.models.shown import Moment, Shown


class SigningKey(Shown):
    """`public_key` is PEM; `fingerprint` the sha256 of its DER; `state` is ACTIVE or RETIRED."""

    id: int
    fingerprint: str
    state: str
    algorithm: str
    public_key: str
    created_on: Moment
    created_by: str
    retired_on: Moment | None
    retired_by: str | None
