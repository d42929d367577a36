"""Bytes of blobs: a redirect to signed S3 addresses, or streamed out of the file store with ranges."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from condarium.database.images import Blob
from condarium.http import byte_ranges
from condarium.http.byte_ranges import Content, Piece
from condarium.storage import Storage, blob_key
from services.registry.faults import BlobUnknown
from services.registry.replies import VERSION_HEADER

MEDIA_TYPE = "application/octet-stream"
#: how long a redirect is good; a client follows it at once, and resumes within the hour
SIGNED_SECONDS = 3600

_BACKWARDS = re.compile(r"bytes=(\d{1,18})-(\d{1,18})\Z")


def blob_headers(digest: str) -> dict[str, str]:
    """A digest names these bytes for ever; whether the client may have them is asked each time, so not `public`."""
    return VERSION_HEADER | {
        "docker-content-digest": f"sha256:{digest}",
        "cache-control": "private, max-age=31536000, immutable",
    }


def blob_reply(request: Request, storage: Storage, blob: Blob) -> Response:
    """GET or HEAD; `request` may ask for a range. Blocks on storage. Raises BlobUnknown, WorldFault."""
    key = blob_key(blob.digest)
    address = storage.url(key, expires_seconds=SIGNED_SECONDS, content_type=MEDIA_TYPE)
    if address is not None and request.method == "GET":
        headers = VERSION_HEADER | {"docker-content-digest": f"sha256:{blob.digest}", "cache-control": "no-store"}
        return RedirectResponse(address, 307, headers)
    found = storage.stat(key)
    if found is None:
        raise BlobUnknown(f"the bytes of the blob sha256:{blob.digest} are missing in storage")
    if _is_backwards(request.headers.get("range")):
        # the distribution's own checks ask for 416 where the HTTP specification would ignore such a range
        return Response(status_code=416, headers=VERSION_HEADER | {"content-range": f"bytes */{found.size}"})
    content = Content(found.size, f"sha256:{blob.digest}", lambda start, end: [Piece(key, start, end)])
    reply = byte_ranges.reply(request, storage, content, media_type=MEDIA_TYPE)
    reply.headers.update(blob_headers(blob.digest))
    return reply


def _is_backwards(header: str | None) -> bool:
    match = _BACKWARDS.match(header.strip()) if header else None
    return match is not None and int(match[2]) < int(match[1])
