"""What S3 says of an object it has stored, foretold while the bytes are sent: a damaged or short upload is found."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_MD5 = re.compile(r"[0-9a-f]{32}(-\d+)?\Z")


class ForetoldEtag:
    """A source that remembers the MD5 of each part of `part_bytes`; S3's ETag is made of them."""

    def __init__(self, source: Any, part_bytes: int) -> None:
        self._source = source
        self._part_bytes = part_bytes
        self._done: list[bytes] = []
        self._part = hashlib.md5(usedforsecurity=False)
        self._in_part = 0
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self._size += len(data)
        left = memoryview(data)
        while left:
            if self._in_part == self._part_bytes:
                self._done.append(self._part.digest())
                self._part = hashlib.md5(usedforsecurity=False)
                self._in_part = 0
            taken = left[: self._part_bytes - self._in_part]
            self._part.update(taken)
            self._in_part += len(taken)
            left = left[len(taken) :]
        return data

    @property
    def size(self) -> int:
        """Bytes read so far."""
        return self._size

    @property
    def etag(self) -> str:
        """Of an object that was sent whole, or in parts when it is larger than one."""
        if not self._done:
            return self._part.hexdigest()
        digests = [*self._done, self._part.digest()]
        return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"

    @staticmethod
    def is_comparable(etag: str | None, headers: Mapping[str, str]) -> bool:
        """Whether a server's ETag is of this kind: not where it encrypts with a key. Names of headers in lower case."""
        return "kms" not in headers.get("x-amz-server-side-encryption", "") and bool(_MD5.match(etag or ""))
