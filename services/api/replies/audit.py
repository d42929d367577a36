"""The audit log's shape."""

from typing import Any, Literal

from services.api.replies.envelopes import Moment, Shown


class AuditRow(Shown):
    """One deed, or the sum of `count` alike between `time` and `last_time`."""

    id: int
    time: Moment
    last_time: Moment
    principal: str
    action: str
    namespace: str | None
    resource: str
    outcome: Literal["done", "denied", "failed"]
    count: int
    address: str | None
    details: dict[str, Any]


class AuditPage(Shown):
    """Some of the rows; `cursor` is what asks for those before them, null at the end."""

    status: Literal["ok"]
    data: list[AuditRow]
    message: None
    cursor: str | None
