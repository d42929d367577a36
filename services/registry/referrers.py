"""What refers to a manifest: lists of it, and the tags where clients look that know no such lists."""

import json
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from condarium.database import environments, referrers
from condarium.database.images import Manifest
from condarium.database.referrers import Listed
from condarium.domain.image.index import OCI_INDEX
from condarium.domain.referrers.manifest import content_digest
from services.registry.faults import ManifestUnknown
from services.registry.names import Repository

#: the most of one reply; some clients read no second one
PAGE = 1000

_TAG = re.compile(r"sha256-(?P<digest>[0-9a-f]{64})(?P<kind>\.sig|\.att)?\Z")


@dataclass(frozen=True)
class Page:
    """`body` is an index; `following` is the digest behind which the next page begins, empty at the end."""

    body: bytes
    following: str


def listed(session: Session, repository: Repository, digest: str, artifact_type: str | None, after: str) -> Page:
    """What refers to the manifest of that sha256 in hex; empty for whatever is not known, the repository too."""
    environment = environments.find(session, repository.namespace, repository.environment)
    found: list[Listed] = []
    if environment is not None:
        found = referrers.listed(
            session, environment.id, digest, artifact_type=artifact_type, after=after, limit=PAGE + 1
        )
    return Page(_index(found[:PAGE]), found[PAGE - 1].digest if len(found) > PAGE else "")


def empty() -> Page:
    """Of what cannot have any."""
    return Page(_index([]), "")


def is_tag(reference: str) -> bool:
    """Whether it is a tag of what refers to a manifest, as OCI 1.0 clients and cosign write it."""
    return _TAG.match(reference) is not None


def tagged(session: Session, repository: Repository, tag: str) -> Manifest:
    """The list of referrers, or what cosign put at the tag. Raises ManifestUnknown."""
    match = _TAG.match(tag)
    environment = environments.find(session, repository.namespace, repository.environment)
    found: Manifest | None = None
    if match and environment is not None:
        if match["kind"]:
            found = referrers.by_tag(session, environment.id, tag)
        else:
            every = referrers.listed(session, environment.id, match["digest"], limit=PAGE)
            body = _index(every)
            found = Manifest(content_digest(body), OCI_INDEX, body, "") if every else None
    if found is None:
        raise ManifestUnknown(f"{repository.text} has no tag {tag}: nothing refers to that digest, or not yet")
    return found


def _index(found: list[Listed]) -> bytes:
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_descriptor(one) for one in found]}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _descriptor(one: Listed) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "mediaType": one.media_type,
        "digest": f"sha256:{one.digest}",
        "size": one.size,
        "artifactType": one.artifact_type,
    }
    return {**shown, "annotations": one.annotations} if one.annotations else shown
