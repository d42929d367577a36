"""The audit log: who reads it, its export, and the end of what is too old."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

from pydantic import Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from condarium import log
from condarium.database import audit
from condarium.database.audit import AuditFilter
from condarium.database.tables import Audit
from condarium.domain.access import Action
from condarium.errors import InvalidInput, Unavailable
from condarium.http.json_reply import JsonReply
from services.api import wire
from services.api.bodies import MAX_NUMBER, Model, Text
from services.api.declaration import bare, text
from services.api.endpoint import Call, Gateway, slow
from services.api.moments import MomentOrEmpty
from services.api.replies.audit import AuditPage

MAX_ROWS = 1000
#: rows of an export that are in memory at a time
EXPORT_ROWS = 1000
#: how often rows that are too old are looked for
KEEP_SECONDS = 900.0
LINES = "application/x-ndjson"

logger = log.get(__name__)


class AuditQuery(Model):
    """`since` and `until` are times of ISO 8601; sums that go on into the span are in it."""

    principal: Text = ""
    action: Text = ""
    namespace: Text = ""
    outcome: Literal["", "done", "denied", "failed"] = ""
    since: MomentOrEmpty = None
    until: MomentOrEmpty = None
    format: Literal["", "json", "jsonl"] = ""
    limit: int = Field(100, ge=1, le=MAX_NUMBER)
    cursor: Text = ""


def routes(gateway: Gateway) -> list[Route]:
    return [
        slow(
            gateway,
            "/api/v1/audit/",
            show_audit,
            query=AuditQuery,
            returns=(
                bare(AuditPage, "The newest rows first"),
                text(LINES, "With `format=jsonl`: all rows that fit, one JSON object per line"),
            ),
            errors=(400, 403),
        )
    ]


async def show_audit(call: Call[AuditQuery, Any]) -> Response:
    """Who did what, when, from where; the newest first.

    Downloads, pulls and refusals are sums: `count` says how often, `time` and `last_time` when.
    """
    before = _read_cursor(call.query.cursor)
    wanted = await call.within(lambda session: _wanted(session, call))
    if call.query.format == "jsonl":
        headers = {"content-disposition": 'attachment; filename="audit.jsonl"', "cache-control": "no-store"}
        return StreamingResponse(_lines(call, wanted, before), media_type=LINES, headers=headers)
    limit = min(call.query.limit, MAX_ROWS)
    rows = await call.within(lambda session: audit.page(session, wanted, before=before, limit=limit + 1))
    cursor = str(rows[limit - 1].id) if len(rows) > limit else None
    shown = [wire_row(row) for row in rows[:limit]]
    return JsonReply({"status": "ok", "data": shown, "message": None, "cursor": cursor})


def _wanted(session: Session, call: Call[AuditQuery, Any]) -> AuditFilter:
    """What the caller may read of what is asked for. Raises NotAuthorized."""
    query, caller = call.query, call.caller
    namespaces: frozenset[str] | None = None
    if not caller.may(Action.READ_AUDIT):
        if query.namespace:
            caller.require(Action.READ_AUDIT, query.namespace)
        names = [query.namespace] if query.namespace else audit.namespaces(session)
        namespaces = frozenset(name for name in names if caller.may(Action.READ_AUDIT, name))
        if not namespaces:
            caller.require(Action.READ_AUDIT)
    return AuditFilter(
        namespaces=namespaces,
        namespace=query.namespace,
        principal=query.principal,
        action=query.action,
        outcome=query.outcome,
        since=query.since,
        until=query.until,
    )


def _read_cursor(cursor: str) -> int | None:
    if not cursor:
        return None
    if not cursor.isdecimal() or not cursor.isascii() or len(cursor) > 18:
        raise InvalidInput("the cursor is not one of this list; pass on what the page before gave")
    return int(cursor)


async def _lines(call: Call[Any, Any], wanted: AuditFilter, before: int | None) -> AsyncIterator[bytes]:
    """A page at a time, each read in a transaction of its own: a slow client holds neither rows nor a connection."""
    while True:
        rows = await call.within(lambda session: audit.page(session, wanted, before=before, limit=EXPORT_ROWS))  # noqa: B023
        if not rows:
            return
        yield b"".join(json.dumps(wire_row(row), ensure_ascii=False).encode() + b"\n" for row in rows)
        before = rows[-1].id


def wire_row(row: Audit) -> dict[str, Any]:
    return {
        "id": row.id,
        "time": wire.moment(row.happened_on),
        "last_time": wire.moment(row.last_on),
        "principal": row.principal,
        "action": row.action,
        "namespace": row.namespace or None,
        "resource": row.resource,
        "outcome": row.outcome,
        "count": row.count,
        "address": row.address,
        "details": row.details,
    }


@asynccontextmanager
async def keeping(gateway: Gateway) -> AsyncIterator[None]:
    """Deletes rows that are older than CONDARIUM_AUDIT_RETENTION_DAYS while the block runs; 0 keeps them for ever."""
    task = asyncio.create_task(_keep(gateway), name="audit-retention")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep(gateway: Gateway) -> None:
    days = gateway.settings.audit_retention_days
    while days > 0:
        try:
            while gone := await run_in_threadpool(forget, gateway, days):
                logger.info("audit rows were deleted", rows=gone, days=days)
        except Unavailable as error:
            logger.warning("old audit rows cannot be deleted now", reason=str(error))
        await asyncio.sleep(KEEP_SECONDS)


def forget(gateway: Gateway, days: float) -> int:
    with gateway.database.transaction() as session:
        return audit.forget(session, days=days)
