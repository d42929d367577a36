"""Referrers as OCI manifests: one file each, about a manifest or an index."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from condarium.domain.canonical import canonical_json
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.referrers import TITLE

#: `{}`, the config of what has none
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True)
class Subject:
    """What is referred to; `digest` in hex, `size` in bytes of its manifest."""

    digest: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Part:
    """A blob of a referrer."""

    content: bytes
    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def descriptor(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": f"sha256:{self.digest}",
            "size": len(self.content),
        }
        return {**shown, "annotations": dict(self.annotations)} if self.annotations else shown


@dataclass(frozen=True)
class Rendered:
    """A manifest with the blobs that are new with it; `tag` where it is found by a tag alone."""

    subject: str
    body: bytes
    artifact_type: str
    annotations: Mapping[str, str]
    parts: tuple[Part, ...]
    #: (digest in hex, media type, bytes) of all that it names
    named: tuple[tuple[str, str, int], ...]
    tag: str | None = None
    media_type: str = OCI_MANIFEST

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def render_referrer(
    subject: Subject, artifact_type: str, content: bytes, annotations: Mapping[str, str] | None = None
) -> Rendered:
    """A file of `artifact_type` about `subject`; the annotations are shown in lists of referrers."""
    shown = dict(sorted((annotations or {}).items()))
    config = Part(EMPTY, EMPTY_TYPE)
    # the name under which clients save the file
    file = Part(content, artifact_type, {TITLE: shown[TITLE]} if TITLE in shown else {})
    body = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": config.descriptor(),
            "layers": [file.descriptor()],
            "subject": {
                "mediaType": subject.media_type,
                "digest": f"sha256:{subject.digest}",
                "size": subject.size,
            },
            **({"annotations": shown} if shown else {}),
        }
    )
    named = tuple((part.digest, part.media_type, len(part.content)) for part in (config, file))
    return Rendered(subject.digest, body, artifact_type, shown, (config, file), named)
