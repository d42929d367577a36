"""Signatures and attestations where cosign 2 looks for them: at the tags `sha256-<hex>.sig` and `sha256-<hex>.att`.

The newest manifest of a tag keeps the layers that other keys have signed, so that a rotation ends no signature.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from condarium.domain.canonical import canonical_json
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.referrers.envelope import SigningKey, verified
from condarium.domain.referrers.manifest import Part, Rendered

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
#: ours: which key has signed the layer
KEY = "condarium.signing-key"


def signature_tag(digest: str) -> str:
    return f"sha256-{digest}.sig"


def attestation_tag(digest: str) -> str:
    return f"sha256-{digest}.att"


def signed_payload(key: SigningKey, repository: str, digest: str) -> Part:
    """That the manifest of that digest is ours; `repository` is a remark that no check reads."""
    payload = canonical_json(
        {
            "critical": {
                "identity": {"docker-reference": repository},
                "image": {"docker-manifest-digest": f"sha256:{digest}"},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    )
    signature = base64.b64encode(key.sign(payload)).decode()
    return Part.of(payload, PAYLOAD, {SIGNATURE: signature, KEY: key.fingerprint})


def attestation(key: SigningKey, envelope: Mapping[str, Any], predicate_type: str) -> Part:
    shown = {SIGNATURE: "", "predicateType": predicate_type, KEY: key.fingerprint}
    return Part.of(canonical_json(dict(envelope)), ENVELOPE, shown)


def render_tagged(subject: str, tag: str, parts: Sequence[Part], before: bytes | None, key: SigningKey) -> Rendered:
    """The manifest of a tag; `before` is the one that the tag had, whose layers of other keys stay."""
    layers: list[dict[str, Any]] = [
        layer
        for layer in (json.loads(before)["layers"] if before else [])
        if layer.get("annotations", {}).get(KEY) != key.fingerprint
    ]
    layers += [part.descriptor() for part in parts]
    config = Part.of(_config(layers), CONFIG)
    body = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor(),
            "layers": layers,
        }
    )
    named = {
        (layer["digest"].removeprefix("sha256:"), layer["mediaType"], layer["size"])
        for layer in (config.descriptor(), *layers)
    }
    return Rendered(subject, body, "", {}, (config, *parts), tuple(sorted(named)), tag)


def _config(layers: Sequence[Mapping[str, Any]]) -> bytes:
    """What cosign writes: an image without a system, whose layers are the payloads."""
    return canonical_json(
        {
            "architecture": "",
            "os": "",
            "created": "0001-01-01T00:00:00Z",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
    )


def signed_digest(public_pem: str, payload: bytes, signature: str) -> str | None:
    """The digest (`sha256:...`) that the key has signed with that payload; None where it has not."""
    try:
        if not verified(public_pem, payload, base64.b64decode(signature, validate=True)):
            return None
        return str(json.loads(payload)["critical"]["image"]["docker-manifest-digest"])
    except (ValueError, KeyError, TypeError):
        return None
