"""Referrers as OCI manifests: one file each, about a manifest or an index."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from condarium.domain.canonical import canonical_json
from condarium.domain.image import OCI_MANIFEST

#: `{}`, the config of what has none
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


def content_digest(content: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Subject:
    """What is referred to; `digest` in hex, `size` in bytes of its manifest."""

    digest: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Part:
    """A blob of a referrer; `digest` in hex, `size` in bytes. `content` is None for what is stored already."""

    digest: str
    size: int
    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @classmethod
    def of(cls, content: bytes, media_type: str, annotations: Mapping[str, str] | None = None) -> "Part":
        return cls(content_digest(content), len(content), media_type, annotations or {}, content)

    def descriptor(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": f"sha256:{self.digest}",
            "size": self.size,
        }
        return {**shown, "annotations": dict(self.annotations)} if self.annotations else shown


@dataclass(frozen=True)
class Rendered:
    """A manifest with the blobs that it brings; `tag` where it is found by a tag alone."""

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
        return content_digest(self.body)


def render_referrer(subject: Subject, file: Part, annotations: Mapping[str, str] | None = None) -> Rendered:
    """A file about `subject`; its media type is the artifact's type, annotations are shown in lists of referrers."""
    shown = dict(sorted({**file.annotations, **(annotations or {})}.items()))
    config = Part.of(EMPTY, EMPTY_TYPE)
    body = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": file.media_type,
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
    named = tuple((part.digest, part.media_type, part.size) for part in (config, file))
    return Rendered(subject.digest, body, file.media_type, shown, (config, file), named)
