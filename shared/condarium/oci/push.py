"""Blobs and manifests into another registry: what is there already is not sent, what a neighbour has is mounted."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import httpx

from condarium.domain.canonical import canonical_json
from condarium.domain.image.index import OCI_INDEX
from condarium.errors import InputFault, WorldFault
from condarium.oci.connection import Connection
from condarium.oci.registry import MANIFEST_BYTES, get_manifest

CHUNK_BYTES = 1 << 20


class Source(Protocol):
    """Opens a blob anew each time: a request may have to be sent twice."""

    def __call__(self) -> Any: ...


@dataclass(frozen=True)
class Piece:
    """A blob to be there: `digest` in hex, `size` in bytes."""

    digest: str
    size: int


@dataclass
class Counts:
    """What a push did, in blobs; `sent_bytes` are those that went over the wire."""

    sent: int = 0
    sent_bytes: int = 0
    mounted: int = 0
    present: int = 0
    manifests: int = 0

    def to_json(self) -> dict[str, int]:
        return dict(vars(self))


@dataclass
class Target:
    """A repository that is pushed to; for one thread. `check` is called before each request and each chunk."""

    connection: Connection
    repository: str
    check: Callable[[], None] = lambda: None
    counts: Counts = field(default_factory=Counts)

    @property
    def scope(self) -> str:
        return f"repository:{self.repository}:pull,push"

    # -- blobs -----------------------------------------------------------------------------------------------------

    def put_blob(self, piece: Piece, open_blob: Source, mount_from: Iterable[str] = ()) -> None:
        """Sees to it that the repository has the blob: there, mounted out of one of these repositories, or sent.

        Raises WorldFault, InputFault.
        """
        self.check()
        if self._has_blob(piece):
            self.counts.present += 1
            return
        for other in mount_from:
            if other != self.repository and self._mounted(piece, other):
                self.counts.mounted += 1
                return
        self._send(piece, open_blob)
        self.counts.sent += 1
        self.counts.sent_bytes += piece.size

    def _has_blob(self, piece: Piece) -> bool:
        path = f"/v2/{self.repository}/blobs/sha256:{piece.digest}"
        reply = self.connection.request("HEAD", path, scope=self.scope, expected=(200, 404), limit=MANIFEST_BYTES)
        return reply.status_code == 200

    def _mounted(self, piece: Piece, other: str) -> bool:
        """A registry that does not mount begins an upload instead, which is dropped: the next one may fit better."""
        path = f"/v2/{self.repository}/blobs/uploads/?mount=sha256:{piece.digest}&from={other}"
        scope = f"{self.scope} repository:{other}:pull"
        try:
            reply = self.connection.request("POST", path, scope=scope, expected=(201, 202), limit=MANIFEST_BYTES)
        except InputFault:
            return False  # its owner has taken it away, or we may not read it
        if reply.status_code == 201:
            return True
        location = self._location(reply, path)
        with suppress(InputFault):  # one that cannot be ended ends by itself
            self.connection.request("DELETE", location, scope=self.scope, expected=(200, 202, 204), limit=1 << 16)
        return False

    def _send(self, piece: Piece, open_blob: Source) -> None:
        begun = self.connection.request(
            "POST", f"/v2/{self.repository}/blobs/uploads/", scope=self.scope, expected=(202,), limit=1 << 16
        )
        location = self._location(begun, self.repository)
        location += f"{'&' if '?' in location else '?'}digest=sha256:{piece.digest}"
        headers = {"content-type": "application/octet-stream", "content-length": str(piece.size)}
        self.connection.request(
            "PUT",
            location,
            scope=self.scope,
            headers=headers,
            content=lambda: self._chunks(open_blob),
            expected=(201, 204),
            limit=1 << 16,
        )

    def _chunks(self, open_blob: Source) -> Iterator[bytes]:
        with open_blob() as stream:
            while chunk := stream.read(CHUNK_BYTES):
                self.check()
                yield chunk

    def _location(self, reply: httpx.Response, path: str) -> str:
        location = reply.headers.get("location", "")
        if not location:
            raise WorldFault(f"{self.connection.url} begins an upload for {path} and does not say where")
        return location if not urlsplit(location).netloc else _relative(location, self.connection.url)

    # -- manifests -------------------------------------------------------------------------------------------------

    def put_manifest(self, body: bytes, media_type: str, references: Iterable[str]) -> bool:
        """Under each tag or digest; whether the registry says that it knows the subject it names.

        Raises WorldFault, InputFault.
        """
        knows = False
        for reference in references:
            self.check()
            reply = self.connection.request(
                "PUT",
                f"/v2/{self.repository}/manifests/{reference}",
                scope=self.scope,
                headers={"content-type": media_type},
                content=body,
                expected=(200, 201, 202),
                limit=1 << 16,
            )
            knows = knows or "oci-subject" in reply.headers
            self.counts.manifests += 1
        return knows

    def has_manifest(self, digest: str, media_type: str) -> bool:
        """By its digest in hex."""
        reply = self.connection.request(
            "HEAD",
            f"/v2/{self.repository}/manifests/sha256:{digest}",
            scope=self.scope,
            headers={"accept": media_type},
            expected=(200, 404),
            limit=MANIFEST_BYTES,
        )
        return reply.status_code == 200

    def list_in_fallback_tag(self, subject: str, descriptors: list[dict[str, Any]]) -> None:
        """For a registry without the referrers API: the index under `sha256-<subject>`, others' entries kept."""
        tag = f"sha256-{subject}"
        try:
            known = get_manifest(self.connection, self.repository, tag, types=(OCI_INDEX,), scope=self.scope).content
        except InputFault as error:
            if error.reason != "no-such-image":
                raise
            known = {}
        kept = {each["digest"]: each for each in known.get("manifests") or [] if isinstance(each, dict)}
        new = kept | {each["digest"]: each for each in descriptors}
        if new == kept:
            return
        manifests = [new[digest] for digest in sorted(new)]
        body = canonical_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
        self.put_manifest(body, OCI_INDEX, [tag])


def bytes_source(body: bytes) -> Source:
    """Of a blob that is at hand."""

    def opened() -> BinaryIO:
        return io.BytesIO(body)

    return opened


def descriptor(media_type: str, body: bytes, **more: Any) -> dict[str, Any]:
    """As indexes name a manifest."""
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(body).hexdigest()}", "size": len(body), **more}


def _relative(location: str, url: str) -> str:
    """The registry's own address without its host, so that it is asked as the registry; others stay as they are."""
    ours, theirs = urlsplit(url), urlsplit(location)
    if theirs.netloc == ours.netloc:
        return location.partition(theirs.netloc)[2]
    return location
