# Made of `asynchronous` by `make client`: edit that.
"""Sweeps, verifications, pins."""

from datetime import datetime
from typing import Any

from condarium.client.models.garbage import Sweep, Why
from condarium.client.synchronous.connection import Connection


class Garbage(Connection):
    """What nothing needs, what is damaged, and what is kept."""

    def sweep(self, *, dry_run: bool = False, until_free: float | None = None, grace_seconds: int | None = None) -> int:
        """Asks for a sweep, or with `dry_run` what it would delete; its number, for `sweep_report`.

        `until_free` is the part of the disk, 0 to 1, at which it ends.
        """
        options: dict[str, Any] = {"dry_run": dry_run, "until_free": until_free, "grace_seconds": grace_seconds}
        content = {name: value for name, value in options.items() if value is not None}
        return int((self._ask(dict[str, int], "POST", self._at("gc"), json=content))["id"])

    def verify(self, *, repair: bool = False, sample: float = 1.0) -> int:
        """Asks for a verification of prefixes and of the part `sample` of the blobs; its number."""
        content = {"repair": repair, "sample": sample}
        return int((self._ask(dict[str, int], "POST", self._at("store", "verify"), json=content))["id"])

    def sweep_report(self, number: int) -> Sweep:
        """How a sweep or verification stands. Raises NotThere."""
        return self._ask(Sweep, "GET", self._at("gc", number))

    def sweeps(self, *, limit: int = 20) -> list[Sweep]:
        """The latest, the newest first."""
        return self._ask(list[Sweep], "GET", self._at("gc"), params={"limit": limit})

    def why(self, target: str) -> Why:
        """What keeps NAMESPACE/NAME, NAMESPACE/NAME:TAG, a sha256, or the path of a prefix. Raises NotThere."""
        return self._ask(Why, "GET", self._at("gc", "why"), params={"target": target})

    def pin(self, build_id: int, *, reason: str = "", expires_on: datetime | None = None) -> str:
        """Keeps a build whatever comes after it; returns the server's sentence."""
        content = {"reason": reason, "expires_on": expires_on.isoformat() if expires_on else None}
        return self._say("PUT", self._at("build", build_id, "pin"), json=content, repeatable=True)

    def unpin(self, build_id: int) -> str:
        """Takes the pin of a build away. Raises NotThere when there is none."""
        return self._say("DELETE", self._at("build", build_id, "pin"))
