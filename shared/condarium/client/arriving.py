"""A file on its way: what has come waits beside it, is taken up where it stands, and is checked before it appears."""

import fcntl
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from condarium.client.faults import ApiError, Damaged, strange

#: storage addresses things by their content
_ADDRESSED = re.compile(r"/blobs/sha256/([0-9a-f]{64})(?:[/?]|\Z)")
_TOTAL = re.compile(r"bytes (\d+)-\d+/(\d+)\Z")


class Arriving:
    """`target` appears when all of it has come. `digest` is what its `ETag` or its content must be (sha256, hex)."""

    def __init__(self, target: Path, *, digest: str | None = None) -> None:
        self.target = target
        self.expected: int | None = None
        self._digest = digest
        self._part = target.with_name(f".{target.name}.part")
        self._mark = target.with_name(f".{target.name}.part.json")
        self._sha256: str | None = None

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._part.stat().st_size if self._part.exists() else 0

    @property
    def whole(self) -> bool:
        """Whether all bytes that were announced have come."""
        return self.expected is None or self.size == self.expected

    def headers(self) -> dict[str, str]:
        """What asks for the rest, if it is still the same; of what has no identity the whole is asked for again."""
        etag = self._etag()
        if not self.size or not etag:
            return {"Accept-Encoding": "identity"}
        return {"Accept-Encoding": "identity", "Range": f"bytes={self.size}-", "If-Range": etag}

    def forget(self) -> None:
        """Begins anew."""
        self._part.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    @contextmanager
    def taking(self, reply: httpx.Response) -> Iterator[IO[bytes]]:
        """Where to write what the reply brings. Raises Damaged when it is not what was asked for."""
        etag = reply.headers.get("etag", "")
        announced = etag.strip('"')
        if self._digest and re.fullmatch(r"[0-9a-f]{64}", announced) and announced != self._digest:
            self.forget()
            raise Damaged(f"the server sends {announced[:12]}..., and {self._digest[:12]}... was asked for")
        start = self._start(reply)
        found = _ADDRESSED.search(str(reply.url))
        self._sha256 = found[1] if found else None
        with self._part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ApiError(f"{self.target} is being downloaded by another program") from None
            if start == 0:
                file.truncate(0)
            self._mark.unlink(missing_ok=True)
            if etag and not etag.startswith("W/"):
                self._mark.write_text(json.dumps({"etag": etag}))
            yield file

    def _start(self, reply: httpx.Response) -> int:
        """Where the reply begins; sets how much there is in all."""
        length = reply.headers.get("content-length")
        if reply.status_code != 206:
            self.expected = int(length) if length and length.isdecimal() else None
            return 0
        found = _TOTAL.match(reply.headers.get("content-range", ""))
        if found is None or int(found[1]) != self.size:
            self.forget()
            raise strange(reply)
        self.expected = int(found[2])
        return int(found[1])

    def finish(self) -> int:
        """Checks and moves it to its place; returns its bytes. Raises Damaged."""
        wanted = self._sha256
        if wanted is not None:
            with self._part.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != wanted:
                self.forget()
                raise Damaged(f"{self.target.name} is damaged: its sha256 is {found}, and {wanted} was announced")
        size = self.size
        self._part.replace(self.target)
        self._mark.unlink(missing_ok=True)
        return size

    def _etag(self) -> str:
        try:
            return str(json.loads(self._mark.read_text())["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
