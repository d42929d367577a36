"""Manifests and blobs of another registry, each checked against its digest."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from condarium.errors import InputFault, WorldFault
from condarium.oci.connection import Connection

CHUNK_BYTES = 1 << 20
#: what the specification wants registries to accept at least
MANIFEST_BYTES = 4 << 20

INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)


@dataclass(frozen=True)
class Document:
    """A manifest or an index: `digest` as `sha256:<hex>` of `body`, which is JSON of an object."""

    media_type: str
    digest: str
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """Raises InputFault for what is no JSON object."""
        try:
            read = json.loads(self.body)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise InputFault(f"the manifest {self.digest} is no JSON object", reason="registry-error")
        return read


def pull_scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def get_manifest(
    connection: Connection,
    repository: str,
    reference: str,
    *,
    types: Sequence[str] = (*INDEX_TYPES, *MANIFEST_TYPES),
    scope: str | None = None,
) -> Document:
    """The manifest or index of a tag or digest. Raises WorldFault (also for bytes that are not the digest's),
    InputFault."""
    reply = connection.request(
        "GET",
        f"/v2/{repository}/manifests/{reference}",
        scope=scope or pull_scope(repository),
        headers={"accept": ", ".join(types)},
        limit=MANIFEST_BYTES,
    )
    digest = f"sha256:{hashlib.sha256(reply.content).hexdigest()}"
    if reference.startswith("sha256:") and reference != digest:
        raise WorldFault(f"{connection.url} answers for {repository}@{reference} with bytes whose digest is {digest}")
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip()
    return Document(media_type, digest, reply.content)


@contextmanager
def open_blob(
    connection: Connection, repository: str, digest: str, *, size: int | None = None, scope: str | None = None
) -> Iterator[Iterator[bytes]]:
    """The chunks of a blob; the last one comes only if digest (sha256) and `size` are right.

    Raises WorldFault, InputFault, also while it is read.
    """
    with connection.stream(
        "GET",
        f"/v2/{repository}/blobs/{digest}",
        scope=scope or pull_scope(repository),
        headers={"accept-encoding": "identity"},
    ) as reply:
        yield _checked(connection, reply, f"{repository}@{digest}", digest, size)


def get_blob(connection: Connection, repository: str, digest: str, *, size: int, limit: int = MANIFEST_BYTES) -> bytes:
    """A small blob whole, such as a config. Raises as `open_blob`; InputFault where it is larger than `limit`."""
    if not 0 <= size <= limit:
        raise InputFault(f"{repository}@{digest} is {size} bytes; at most {limit} are read", reason="registry-error")
    with open_blob(connection, repository, digest, size=size) as chunks:
        return b"".join(chunks)


def _checked(
    connection: Connection, reply: httpx.Response, what: str, digest: str, size: int | None
) -> Iterator[bytes]:
    sha256 = hashlib.sha256()
    read = 0
    held = b""
    try:
        for chunk in reply.iter_raw(CHUNK_BYTES):
            read += len(chunk)
            if size is not None and read > size:
                break
            sha256.update(chunk)
            if held:
                yield held
            held = chunk
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise WorldFault(f"{connection.url} broke off in {what} after {read} bytes: {error}") from error
    if size is not None and read != size:
        raise WorldFault(f"{connection.url} sends {what} with a length that is not the manifest's ({size} bytes)")
    if f"sha256:{sha256.hexdigest()}" != digest:
        raise WorldFault(f"{connection.url} answers for {what} with other bytes than its digest says")
    if held:
        yield held
