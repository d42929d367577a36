"""The bucket as a storage."""

import contextlib
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import quote

from minio.error import S3Error

from condarium.errors import CondariumError, NotFound, WorldFault
from condarium.storage.joined import Joined
from condarium.storage.port import (
    STALE_SECONDS,
    Blob,
    Entry,
    HashingReader,
    Source,
    Stat,
    Stored,
    check_key,
    check_range,
    is_content_key,
    measure,
)
from condarium.storage.s3 import joining
from condarium.storage.s3.address import S3Address, client, signer
from condarium.storage.s3.etag import ForetoldEtag
from condarium.storage.s3.faults import faults
from condarium.storage.s3.reading import Reading

PART_BYTES = 5 * 1024 * 1024
_PARALLEL_PARTS = 3
_LONGEST_URL_SECONDS = 7 * 24 * 3600
_EXISTING = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


class S3Storage:
    """A key is an object's key in the bucket. Safe for threads."""

    def __init__(self, address: S3Address) -> None:
        self.address = address
        self._bucket = address.bucket
        self._client = client(address)
        # Whether it is there is asked often, and answered now.
        self._prober = client(address, retries=0)
        self._signer = signer(address)

    def __repr__(self) -> str:
        return f"S3Storage({self.address.endpoint!r}, {self.address.bucket!r})"

    def prepare(self) -> None:
        with self._faults("cannot make the bucket"):
            if not self._client.bucket_exists(self._bucket):
                try:
                    self._client.make_bucket(self._bucket)
                except S3Error as error:
                    if error.code not in _EXISTING:
                        raise
        # A server that cannot list uploads sweeps them itself, by a rule of the bucket.
        with contextlib.suppress(CondariumError), self._faults("cannot list the uploads"):
            self._forget_stale()

    def _forget_stale(self) -> None:
        """Parts of uploads whose writers were killed; they are no objects, and nobody lists them."""
        begun = self._client._list_multipart_uploads(self._bucket)
        for upload in begun.uploads:
            since = upload.initiated_time
            if since and upload.upload_id and time.time() - since.timestamp() > STALE_SECONDS:
                with contextlib.suppress(S3Error):
                    self._client._abort_multipart_upload(self._bucket, str(upload.object_name), upload.upload_id)

    def check(self) -> None:
        with self._faults("cannot reach the bucket"):
            found = self._prober.bucket_exists(self._bucket)
        if not found:
            raise WorldFault(f"the bucket {self._bucket} is missing at {self.address.endpoint}")

    def put(self, key: str, source: Source) -> Stored:
        check_key(key)
        if not isinstance(source, bytes | Path):
            # In one thread: minio's pool of threads is not ended when the source fails.
            stream = HashingReader(key, source)
            self._upload(key, stream, -1, 1)
            return stream.stored()
        stored = measure(key, source)
        if is_content_key(key):
            found = self.stat(key)
            if found and found.size == stored.size:
                return stored
        with contextlib.ExitStack() as stack, self._faults(f"cannot read the source of {key}"):
            data = io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(source.open("rb"))
            self._upload(key, data, stored.size, _PARALLEL_PARTS)
        return stored

    def _upload(self, key: str, stream: Any, size: int, threads: int) -> None:
        """At most `threads` + 2 parts are in memory. The client sends a checksum with each part; what the server says
        of the whole is compared with what was sent."""
        told = ForetoldEtag(stream, PART_BYTES)
        with self._faults(f"cannot store {key}"):
            result = self._client.put_object(
                self._bucket, key, cast(BinaryIO, told), size, part_size=PART_BYTES, num_parallel_uploads=threads
            )
        headers = {name.lower(): value for name, value in (result.http_headers or {}).items()}
        if told.is_comparable(result.etag, headers):
            is_right = told.etag == result.etag
        else:
            found = self.stat(key)
            is_right = found is not None and found.size == told.size
        if not is_right:
            self.delete(key)
            raise WorldFault(f"the bytes of {key} were damaged on the way to {self.address.endpoint}")

    def join(self, key: str, keys: Sequence[str]) -> int:
        check_key(key)
        sizes = []
        for each in keys:
            found = self.stat(each)
            if found is None:
                raise NotFound(f"{each} is not stored")
            sizes.append((each, found.size))
        total = sum(size for _, size in sizes)
        if total <= PART_BYTES or len(sizes) == 1:
            return self._joined_by_us(key, keys)
        with self._faults(f"cannot store {key}"):
            joining.join(self._client, self._bucket, key, sizes, lambda span: self.open(span.key, span.start, span.end))
        return total

    def _joined_by_us(self, key: str, keys: Sequence[str]) -> int:
        with Joined(self.open(each) for each in keys) as source:
            return self.put(key, cast(BinaryIO, source)).size

    def open(self, key: str, start: int = 0, end: int | None = None) -> Blob:
        check_range(start, end)
        if end is not None and end <= start:
            return self._nothing(key)
        with self._faults(f"cannot read {key}"):
            try:
                reading = Reading(self._client, self._bucket, check_key(key), start, end)
            except S3Error as error:
                if error.code == "InvalidRange":
                    return self._nothing(key)
                raise

        def read(count: int) -> bytes:
            with self._faults(f"cannot read {key}"):
                return reading.read(count)

        return Blob(key, reading.size, read, reading.close)

    def _nothing(self, key: str) -> Blob:
        if self.stat(key) is None:
            raise NotFound(f"{key} is not stored")
        return Blob(key, 0, lambda count: b"", lambda: None)

    def stat(self, key: str) -> Stat | None:
        check_key(key)
        try:
            with self._faults(f"cannot read {key}"):
                found = self._client.stat_object(self._bucket, key)
        except NotFound:
            return None
        return Stat(found.size or 0, found.last_modified.timestamp() if found.last_modified else 0.0)

    def delete(self, key: str) -> None:
        check_key(key)
        with contextlib.suppress(NotFound), self._faults(f"cannot delete {key}"):
            self._client.remove_object(self._bucket, key)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with self._faults("cannot list the bucket"):
            for found in self._client.list_objects(self._bucket, prefix=prefix or None, recursive=True):
                if found.object_name and not found.is_dir:
                    modified = found.last_modified.timestamp() if found.last_modified else 0.0
                    yield Entry(found.object_name, found.size or 0, modified)

    def url(
        self,
        key: str,
        *,
        expires_seconds: int,
        filename: str | None = None,
        content_type: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str | None:
        check_key(key)
        headers: dict[str, str] = {}
        if filename:
            headers["response-content-disposition"] = content_disposition(filename)
        if content_type:
            headers["response-content-type"] = content_type
        lifetime = timedelta(seconds=min(max(expires_seconds, 1), _LONGEST_URL_SECONDS))
        signed = self._signer.get_presigned_url(
            method, self._bucket, key, expires=lifetime, response_headers=cast(Any, headers)
        )
        return str(signed)

    def path(self, key: str) -> Path | None:
        check_key(key)
        return None

    def _faults(self, what: str) -> AbstractContextManager[None]:
        return faults(what, self.address.endpoint)


def content_disposition(filename: str) -> str:
    """The header that makes a browser save under `filename`, whatever its characters."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_" for letter in filename
    )
    extended = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{plain}"{extended}'
