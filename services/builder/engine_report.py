"""What the child tells its parent, free of secrets and not too often."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from condarium.conda.link import Linked
from condarium.domain.lock import Lock
from condarium.domain.redaction import redact

_PROGRESS_SECONDS = 0.2


class Outcome(NamedTuple):
    """The end of a good build; `linked` is None where the lock of the store's platform was not asked for."""

    lock: Lock | None
    linked: Linked | None


class Answer(NamedTuple):
    """The end of a good solve: what the channels looked like, and whether the answer of before stands."""

    repodata: str | None
    unchanged: bool


class Report:
    """Messages by kind; every text is redacted here, wherever it came from."""

    def __init__(self, send: Callable[..., None], secrets: tuple[str, ...]) -> None:
        self._send = send
        self._secrets = secrets
        self._told = 0.0

    def log(self, text: str) -> None:
        self._send("log", text=redact(text, self._secrets))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times what happens inside; a phase that fails has no end."""
        self._send("phase", name=name, state="started", seconds=0.0)
        start = time.perf_counter()
        yield
        self._send("phase", name=name, state="finished", seconds=round(time.perf_counter() - start, 4))

    def progress(self, done: int, total: int, bytes_done: int, bytes_total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self._send("progress", done=done, total=total, bytes=bytes_done, bytes_total=bytes_total)

    def solved(self, locks: Mapping[str, Lock]) -> None:
        self._send("solved", locks={platform: lock.to_json() for platform, lock in locks.items()})

    def linked(self, outcome: Outcome) -> None:
        linked, lock = outcome.linked, outcome.lock
        self._send(
            "linked",
            lock_hash=lock.hash if lock else None,
            prefix=str(linked.prefix) if linked else None,
            size=linked.size.total if linked else 0,
            links=dict(linked.size.links) if linked else {},
            reused=linked.reused if linked else False,
        )

    def answered(self, answer: Answer) -> None:
        self._send("answered", repodata=answer.repodata, unchanged=answer.unchanged)

    def failed(self, kind: str, reason: str, message: str, retry_after: float | None) -> None:
        fields: dict[str, Any] = {"kind": kind, "reason": reason, "retry_after": retry_after}
        self._send("failed", **fields, message=redact(message, self._secrets))
