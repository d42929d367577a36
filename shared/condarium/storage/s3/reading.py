"""An object as a stream that survives broken connections: what is missing is asked for again."""

import time
from typing import Any

import urllib3
from minio import Minio

from condarium.storage.s3.address import BACKOFF_SECONDS, RETRIES

_BROKEN = (urllib3.exceptions.HTTPError, OSError)


class Reading:
    """Bytes [start, end) of an object. Raises what the client raises, `S3Error` InvalidRange behind the end."""

    def __init__(self, client: Minio, bucket: str, key: str, start: int, end: int | None) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._at = start
        self._response = self._ask(start, 0 if end is None else end - start)
        self.size = int(self._response.headers["Content-Length"])
        self._end = start + self.size
        self._etag = self._response.headers.get("ETag")
        self._failures = 0

    def _ask(self, start: int, length: int, **headers: str) -> Any:
        return self._client.get_object(self._bucket, self._key, start, length, request_headers=dict(headers) or None)

    def read(self, count: int) -> bytes:
        while True:
            try:
                data = bytes(self._response.read(count))
                if not data and self._at < self._end:
                    raise urllib3.exceptions.HTTPError("the stream ended early")
            except _BROKEN:
                self._failures += 1
                if self._failures > RETRIES:
                    raise
                self._resume()
                continue
            self._at += len(data)
            if data:
                self._failures = 0
            return data

    def _resume(self) -> None:
        self.close()
        time.sleep(BACKOFF_SECONDS * 2 ** (self._failures - 1))
        # Nothing of another version may follow what was given already.
        condition = {"If-Match": self._etag} if self._etag else {}
        self._response = self._ask(self._at, self._end - self._at, **condition)

    def close(self) -> None:
        # A response that was not read to its end takes its connection with it.
        self._response.close()
        self._response.release_conn()
