"""What an image is made of, in the order in which another registry takes it: what is named before who names it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from condarium.database import images
from condarium.database.tables import Referrer, ReferrerManifest
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.image.index import OCI_INDEX
from condarium.errors import InputFault
from condarium.oci.push import Piece


@dataclass(frozen=True)
class Manifest:
    """One of ours; `digest` in hex of `body`. `subject` in hex is what it refers to, `tag` what it is found by."""

    digest: str
    media_type: str
    body: bytes
    blobs: tuple[Piece, ...]
    subject: str | None = None
    tag: str | None = None
    listed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Content:
    """`image` is the one that gets the tags; `members` are the images that it names, when it is an index."""

    image: Manifest
    members: tuple[Manifest, ...]
    referrers: tuple[Manifest, ...]

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        return (*self.members, self.image, *self.referrers)


def read_content(session: Session, build_id: int, digest: str, *, referrers: bool) -> Content:
    """Of the image with that digest, in OCI's encoding. Raises InputFault when it has gone."""
    image = next((each for each in images.encodings(session, digest) if each.media_type in _TYPES), None)
    if image is None:
        raise InputFault("the image is no longer there; ask for it again", reason="no-such-image")
    members = images.members(session, image.digest) if image.media_type == OCI_INDEX else []
    own = [_manifest(each.digest, each.media_type, each.body) for each in members if each.media_type in _TYPES]
    top = _manifest(image.digest, image.media_type, image.body)
    subjects = [each.digest for each in (*own, top)]
    return Content(top, tuple(own), tuple(_referrers(session, build_id, subjects)) if referrers else ())


_TYPES = (OCI_MANIFEST, OCI_INDEX)


def _referrers(session: Session, build_id: int, subjects: Sequence[str]) -> Iterator[Manifest]:
    """Of these, and of referrers themselves, each after its subject."""
    rows = session.execute(
        select(
            Referrer.tag,
            ReferrerManifest.digest,
            ReferrerManifest.subject,
            ReferrerManifest.media_type,
            ReferrerManifest.artifact_type,
            ReferrerManifest.annotations,
            ReferrerManifest.manifest,
        )
        .join(ReferrerManifest, ReferrerManifest.digest == Referrer.digest)
        .where(Referrer.build_id == build_id)
        .order_by(ReferrerManifest.digest)
    ).all()
    known, left = set(subjects), rows
    while True:
        now = [row for row in left if row.subject in known]
        if not now:
            return
        left = [row for row in left if row.subject not in known]
        for row in now:
            listed = {"artifactType": row.artifact_type}
            if row.annotations:
                listed["annotations"] = row.annotations
            yield _manifest(row.digest, row.media_type, row.manifest, row.subject, row.tag, listed)
        known = {row.digest for row in now}


def _manifest(
    digest: str,
    media_type: str,
    body: bytes,
    subject: str | None = None,
    tag: str | None = None,
    listed: dict[str, Any] | None = None,
) -> Manifest:
    return Manifest(digest, media_type, body, tuple(_blobs(json.loads(body))), subject, tag, listed or {})


def _blobs(content: dict[str, Any]) -> Iterable[Piece]:
    """The config and the layers, each once; an index names manifests instead."""
    named = [*([content["config"]] if "config" in content else []), *content.get("layers", [])]
    pieces = {each["digest"]: Piece(each["digest"].removeprefix("sha256:"), each["size"]) for each in named}
    return pieces.values()
