"""Bytes of blobs: a redirect to signed S3 addresses, or streamed out of the file store with ranges."""

import re
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from condarium.database.images import Blob
from condarium.http import byte_ranges
from condarium.http.byte_ranges import Content, Piece
from condarium.storage import Storage, blob_key
from services.registry.faults import BlobUnknown
from services.registry.replies import VERSION_HEADER, content_headers, is_known

MEDIA_TYPE = "application/octet-stream"
#: how long a redirect is good for a request to begin; who resumes later comes here again
SIGNED_SECONDS = 60

_BACKWARDS = re.compile(r"bytes=(\d{1,18})-(\d{1,18})\Z")


def redirect(request: Request, storage: Storage, blob: Blob, reference: str) -> Response | None:
    """To where the client gets the bytes itself, in the method and with the range it asks for; None without S3.

    It asks nobody: signing is arithmetic.
    """
    method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
    address = storage.url(blob_key(blob.digest), expires_seconds=SIGNED_SECONDS, content_type=MEDIA_TYPE, method=method)
    if address is None:
        return None
    headers = {"docker-content-digest": reference, "location": address, "cache-control": "no-store"}
    return Response(status_code=307, headers=VERSION_HEADER | headers)


def stream(request: Request, storage: Storage, blob: Blob, reference: str) -> Response:
    """GET or HEAD of a blob in the file store; blocks on it. Raises BlobUnknown, WorldFault."""
    headers = content_headers(blob.digest, reference)
    if is_known(request, blob.digest):
        return Response(status_code=304, headers=headers)
    key = blob_key(blob.digest)
    found = storage.stat(key)
    if found is None:
        raise BlobUnknown(f"the bytes of the blob {reference} are missing in storage")
    if _is_backwards(request.headers.get("range")):
        # the distribution's own checks ask for 416 where the HTTP specification would ignore such a range
        return Response(status_code=416, headers=VERSION_HEADER | {"content-range": f"bytes */{found.size}"})
    content = Content(found.size, f"sha256:{blob.digest}", lambda start, end: [Piece(key, start, end)])
    reply = byte_ranges.reply(request, storage, content, media_type=MEDIA_TYPE)
    reply.headers.update(headers if reply.status_code < 400 else VERSION_HEADER)
    return reply


def _is_backwards(header: str | None) -> bool:
    match = _BACKWARDS.match(header.strip()) if header else None
    return match is not None and int(match[2]) < int(match[1])
