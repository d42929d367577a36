"""One object out of many, mostly without moving a byte: S3 copies what is large, only small parts go through us.

All parts of an upload but its last have 5 MiB or more: small objects are read and gathered up to that, and where a
large one follows, its beginning fills them up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from minio import Minio
from minio.datatypes import Part

from condarium.storage.port import Blob

SMALLEST_PART = 5 * 1024 * 1024
#: S3 copies at most 5 GiB at a time
LARGEST_COPY = 5 * 1024 * 1024 * 1024
#: S3 takes no more in one upload
MOST_PARTS = 10_000


@dataclass(frozen=True)
class Span:
    """Bytes [start, end) of a stored object."""

    key: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Sent:
    """A part whose bytes go through us: read one span after the other."""

    spans: tuple[Span, ...]


def parts_of(sizes: Sequence[tuple[str, int]]) -> Iterator[Span | Sent]:
    """How the objects (key, bytes) become parts: a Span is copied by the server, a Sent is read and sent by us."""
    gathered: list[Span] = []
    room = SMALLEST_PART
    for key, size in sizes:
        at = 0
        while at < size:
            if not gathered and size - at >= SMALLEST_PART:
                end = min(size, at + LARGEST_COPY)
                if 0 < size - end < SMALLEST_PART:  # the rest must be a part of its own, or begin one
                    end = size - SMALLEST_PART
                yield Span(key, at, end)
                at = end
                continue
            end = min(size, at + room)
            gathered.append(Span(key, at, end))
            room -= end - at
            at = end
            if room == 0:
                yield Sent(tuple(gathered))
                gathered, room = [], SMALLEST_PART
    if gathered:
        yield Sent(tuple(gathered))


def join(client: Minio, bucket: str, key: str, sizes: Sequence[tuple[str, int]], read: Callable[[Span], Blob]) -> None:
    """Makes `key` of the objects; needs 5 MiB of memory. What fails leaves nothing."""
    upload = client._create_multipart_upload(bucket, key, {})
    try:
        made: list[Part] = []
        for number, part in enumerate(parts_of(sizes), 1):
            if isinstance(part, Span):
                headers = {
                    "x-amz-copy-source": f"/{bucket}/{part.key}",
                    "x-amz-copy-source-range": f"bytes={part.start}-{part.end - 1}",
                }
                etag, _ = client._upload_part_copy(bucket, key, upload, number, headers)
            else:
                etag = client._upload_part(bucket, key, _together(part, read), None, upload, number)
            made.append(Part(number, etag))
        client._complete_multipart_upload(bucket, key, upload, made)
    except BaseException:
        client._abort_multipart_upload(bucket, key, upload)
        raise


def _together(part: Sent, read: Callable[[Span], Blob]) -> bytes:
    pieces = []
    for span in part.spans:
        with read(span) as stream:
            pieces.append(stream.read())
    return b"".join(pieces)
