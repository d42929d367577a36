# Made of `asynchronous` by `make client`: edit that.
"""Builds: numbered attempts of an environment."""

import time
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

from condarium.client import faults
from condarium.client.models.builds import Build, BuildPackage, BuildRow
from condarium.client.synchronous.connection import Connection


class Builds(Connection):
    """Listed, shown, waited for, and what people do to them."""

    def builds(
        self,
        *,
        namespace: str | None = None,
        name: str | None = None,
        status: str | None = None,
        environment_id: int | None = None,
        packages: Sequence[str] = (),
        artifact: Sequence[str] = (),
        label: Sequence[str] = (),
    ) -> Iterator[BuildRow]:
        """The builds that one may see, the newest first, deleted ones too. `label` is `key=value`, or a key."""
        query = {
            "namespace": namespace,
            "name": name,
            "status": status,
            "environment_id": environment_id,
            "packages": list(packages),
            "artifact": list(artifact),
            "label": list(label),
            "sort_by": "id",
            "order": "desc",
        }
        last: int | None = None
        for row in self._pages(BuildRow, self._at("build"), query):
            # Builds that were queued meanwhile push others to the next page, where they would be seen again.
            if last is None or row.id < last:
                last = row.id
                yield row

    def build(self, build_id: int) -> Build:
        """Raises NotThere."""
        return self._ask(Build, "GET", self._at("build", build_id))

    def packages(
        self, build_id: int, *, search: str = "", exact: bool = False, platform: str = ""
    ) -> Iterator[BuildPackage]:
        """The packages in the lock of a build, by name."""
        query = {"search": search, "exact": "1" if exact else "", "platform": platform}
        for row in self._pages(BuildPackage, self._at("build", build_id, "packages"), query):
            yield row

    def rebuild(self, build_id: int) -> int:
        """A new build of the same specification; returns its id."""
        found = self._ask(dict[str, Any], "PUT", self._at("build", build_id))
        return int(found["build_id"])

    def cancel(self, build_id: int) -> None:
        """Ends a build. Raises Conflicting when it has ended otherwise."""
        self._say("PUT", self._at("build", build_id, "cancel"), repeatable=True)

    def retry(self, build_id: int) -> None:
        """Another try of a failed or canceled build, under its own number."""
        self._say("PUT", self._at("build", build_id, "retry"))

    def label(self, build_id: int, labels: Mapping[str, str]) -> None:
        """Gives a build these labels and no others; `key-value` is a tag of its image."""
        self._say("PUT", self._at("build", build_id, "labels"), json={"labels": dict(labels)}, repeatable=True)

    def delete_build(self, build_id: int) -> None:
        """Deletes a completed or failed build; an environment that points to it points nowhere then."""
        self._say("DELETE", self._at("build", build_id))

    def wait(self, build_id: int, *, seconds: float = 3600.0) -> Build:
        """The build once it has ended, however. Raises StillWaiting after `seconds`."""
        until = monotonic() + seconds
        pause = 0.05
        while True:
            build = self.build(build_id)
            if build.ended:
                return build
            if monotonic() > until:
                raise faults.StillWaiting(f"build {build_id} is still {build.status} after {seconds:g} s")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)
