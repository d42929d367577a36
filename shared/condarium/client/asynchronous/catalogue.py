"""Channels and packages that can be searched; the audit log."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from pydantic import ValidationError

from condarium.client import faults
from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.models.packages import Channel, Package, PackageRecord
from condarium.client.models.settings import AuditRow

#: rows of the audit log read at a time
AUDIT = 500


class AsyncCatalogue(AsyncConnection):
    """Lists that are only read."""

    async def channels(self) -> AsyncIterator[Channel]:
        """The channels whose packages can be searched; how current each is, and why one is not."""
        async for row in self._pages(Channel, self._at("channel"), {}):
            yield row

    async def search_packages(
        self,
        search: str = "",
        *,
        exact: bool = False,
        channel: str = "",
        build: str = "",
        distinct_on: Sequence[str] = (),
    ) -> AsyncIterator[Package]:
        """A row for each version of each package, versions in conda's order. `search` is a part of a name, all of it
        with `exact`; of rows alike in all of `distinct_on` (channel, name, version) only the first.
        """
        query = {
            "search": search,
            "exact": "1" if exact else "",
            "channel": channel,
            "build": build,
            "distinct_on": list(distinct_on),
        }
        async for row in self._pages(Package, self._at("package"), query):
            yield row

    async def package_records(
        self, name: str, *, version: str = "", build: str = "", channel: str = "", subdir: str = ""
    ) -> AsyncIterator[PackageRecord]:
        """What repodata says of each file of one package."""
        query = {"name": name, "version": version, "build": build, "channel": channel, "subdir": subdir}
        async for row in self._pages(PackageRecord, self._at("package", "record"), query):
            yield row

    async def audit(
        self,
        *,
        principal: str = "",
        action: str = "",
        namespace: str = "",
        outcome: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[AuditRow]:
        """Who did what, the newest first. `outcome` is done, denied or failed. A page is read when it is wanted."""
        query = _audit_query(principal, action, namespace, outcome, since, until)
        async for row in self._after(AuditRow, self._at("audit"), query, limit=AUDIT):
            yield row

    async def export_audit(
        self,
        *,
        principal: str = "",
        action: str = "",
        namespace: str = "",
        outcome: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[AuditRow]:
        """The same as one stream of JSON lines: all rows that fit. Raises Damaged for a line that was cut."""
        query = _audit_query(principal, action, namespace, outcome, since, until) | {"format": "jsonl"}
        async with self._open(self._at("audit"), query) as reply:
            async for line in reply.aiter_lines():
                if not line:
                    continue
                try:
                    yield AuditRow.model_validate(json.loads(line))
                except (ValueError, ValidationError):
                    raise faults.Damaged("the export of the audit log was cut within a row; ask again") from None


def _audit_query(
    principal: str, action: str, namespace: str, outcome: str, since: datetime | None, until: datetime | None
) -> dict[str, str]:
    moments = {name: moment.isoformat() for name, moment in (("since", since), ("until", until)) if moment is not None}
    words = {"principal": principal, "action": action, "namespace": namespace, "outcome": outcome}
    return {key: value for key, value in words.items() if value} | moments
