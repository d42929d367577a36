"""Bytes in a bucket of any S3, by the minio client."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from condarium.errors import NotFound, WorldFault
from condarium.storage.port import (
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

PART_BYTES = 5 * 1024 * 1024
_PARALLEL_PARTS = 3
_LONGEST_URL_SECONDS = 7 * 24 * 3600
_MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}
_EXISTING = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@dataclass(frozen=True)
class S3Address:
    """Where the bucket is for us (`endpoint`) and for clients (`external`); endpoints are host:port."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    secure: bool = True
    region: str = "us-east-1"
    external: str | None = None
    external_secure: bool = True


class S3Storage:
    """A key is an object's key in the bucket. Safe for threads."""

    def __init__(self, address: S3Address) -> None:
        self.address = address
        self._client = _client(address, address.endpoint, address.secure)
        # Signing is arithmetic: this one never connects.
        self._signer = _client(address, address.external, address.external_secure) if address.external else self._client

    def __repr__(self) -> str:
        return f"S3Storage({self.address.endpoint!r}, {self.address.bucket!r})"

    def prepare(self) -> None:
        with self._faults("cannot make the bucket"):
            if self._client.bucket_exists(self.address.bucket):
                return
            try:
                self._client.make_bucket(self.address.bucket)
            except S3Error as error:
                if error.code not in _EXISTING:
                    raise

    def check(self) -> None:
        with self._faults("cannot reach the bucket"):
            found = self._client.bucket_exists(self.address.bucket)
        if not found:
            raise WorldFault(f"the bucket {self.address.bucket} is missing at {self.address.endpoint}")

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
        """At most `threads` + 2 parts are in memory; the client sends a checksum with each."""
        with self._faults(f"cannot store {key}"):
            self._client.put_object(
                self.address.bucket, key, stream, size, part_size=PART_BYTES, num_parallel_uploads=threads
            )

    def open(self, key: str, start: int = 0, end: int | None = None) -> Blob:
        check_range(start, end)
        if end is not None and end <= start:
            return self._nothing(key)
        with self._faults(f"cannot read {key}"):
            try:
                response = self._client.get_object(
                    self.address.bucket, check_key(key), start, 0 if end is None else end - start
                )
            except S3Error as error:
                if error.code == "InvalidRange":
                    return self._nothing(key)
                raise

        def read(count: int) -> bytes:
            with self._faults(f"cannot read {key}"):
                return bytes(response.read(count))

        def close() -> None:
            # A response that was not read to its end takes its connection with it.
            response.close()
            response.release_conn()

        return Blob(key, int(response.headers["Content-Length"]), read, close)

    def _nothing(self, key: str) -> Blob:
        if self.stat(key) is None:
            raise NotFound(f"{key} is not stored")
        return Blob(key, 0, lambda count: b"", lambda: None)

    def stat(self, key: str) -> Stat | None:
        check_key(key)
        try:
            with self._faults(f"cannot read {key}"):
                found = self._client.stat_object(self.address.bucket, key)
        except NotFound:
            return None
        return Stat(found.size or 0, found.last_modified.timestamp() if found.last_modified else 0.0)

    def delete(self, key: str) -> None:
        check_key(key)
        with contextlib.suppress(NotFound), self._faults(f"cannot delete {key}"):
            self._client.remove_object(self.address.bucket, key)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with self._faults("cannot list the bucket"):
            for found in self._client.list_objects(self.address.bucket, prefix=prefix or None, recursive=True):
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
            method, self.address.bucket, key, expires=lifetime, response_headers=cast(Any, headers)
        )
        return str(signed)

    def path(self, key: str) -> Path | None:
        check_key(key)
        return None

    @contextlib.contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        """Errors of the client as ours, by their code only: their texts quote headers and signatures."""
        try:
            yield
        except S3Error as error:
            if error.code in _MISSING:
                raise NotFound(f"{what}: it is not stored") from None
            raise WorldFault(f"{what} at {self.address.endpoint}: {error.code}") from None
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise WorldFault(f"{what} at {self.address.endpoint}: {_kind_of(error)}") from None
        except OSError as error:
            raise WorldFault(f"{what}: {error.strerror or type(error).__name__}") from None


def content_disposition(filename: str) -> str:
    """The header that makes a browser save under `filename`, whatever its characters."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_" for letter in filename
    )
    extended = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _kind_of(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__


def _client(address: S3Address, endpoint: str, secure: bool) -> Minio:
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=5, read=60),
        maxsize=32,
        retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )
    return Minio(
        endpoint,
        access_key=address.access_key,
        secret_key=address.secret_key,
        secure=secure,
        region=address.region,
        http_client=http,
    )
