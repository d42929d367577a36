"""Packages: what the indexed channels have, and how current that is."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import channels, packages
from condarium.database.channels import SYNCING, Listed, Part
from condarium.database.listing import Page
from condarium.domain.access import Action
from services.api import wire
from services.api.bodies import CatalogueQuery, PagingQuery, RecordsQuery
from services.api.declaration import page
from services.api.endpoint import Call, Gateway, quick
from services.api.replies import packages as replies


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(
            gateway,
            "/api/v1/package/",
            search_packages,
            query=CatalogueQuery,
            returns=page(replies.Package),
            errors=(403,),
        ),
        quick(
            gateway,
            "/api/v1/package/record/",
            list_records,
            query=RecordsQuery,
            returns=page(replies.PackageRecord),
            errors=(403,),
        ),
        quick(
            gateway,
            "/api/v1/channel/",
            list_channels,
            query=PagingQuery,
            returns=page(replies.Channel),
            errors=(403,),
        ),
    ]


def search_packages(session: Session, call: Call[CatalogueQuery, Any]) -> Any:
    """What the indexed channels have: a row for each version of each package.

    `search` is a part of a name, all of it with `exact`. Of rows that are the same in all of `distinct_on` (channel,
    name, version; repeated) only the first is listed. Sorted by channel, name, version; versions in conda's order.
    """
    call.caller.require(Action.READ_CHANNELS)
    found = packages.page(session, call.query.wanted(), paging=call.query.paging())
    updated = channels.updated(session, {each.channel for each in found.rows})
    return replace(found, rows=[wire.package(each, updated) for each in found.rows])


def list_records(session: Session, call: Call[RecordsQuery, Any]) -> Any:
    """What repodata says of each file of one package: its dependencies, licence, size."""
    call.caller.require(Action.READ_CHANNELS)
    found = packages.records(session, call.query.wanted(), paging=call.query.paging())
    return replace(found, rows=[dict(each._mapping) for each in found.rows])


def list_channels(session: Session, call: Call[PagingQuery, Any]) -> Any:
    """The channels whose packages can be searched; how current each is, and why one is not."""
    call.caller.require(Action.READ_CHANNELS)
    paging = call.query.paging()
    found = list(channels.listed(session))
    if paging.descending:
        found.reverse()
    size = paging.size or len(found)
    start = (paging.page - 1) * size
    return Page([_channel(each) for each in found[start : start + size]], paging.page, size, len(found))


def _channel(found: Listed) -> dict[str, Any]:
    parts = [_part(each) for each in found.parts]
    error = next((each["error"] for each in parts if each["error"]), None)
    if all(each["state"] == "absent" for each in parts):
        error = "there is no such channel: it has no repodata for any of the platforms"
    return {
        "id": wire.channel_id(found.url),
        "name": found.url,
        "last_update": wire.moment(found.updated_on),
        "condarium": {"packages": found.names, "error": error, "parts": parts},
    }


def _part(found: Part) -> dict[str, Any]:
    moments: dict[str, datetime | None] = {
        "checked_on": found.checked_on,
        "changed_on": found.changed_on,
        "due_on": found.due_on,
        "failing_since": found.failing_since,
    }
    return {
        "part": found.part,
        "state": _state(found),
        "records": found.records,
        "error": found.error,
        "failures": found.failures,
        **{name: wire.moment(value) for name, value in moments.items()},
    }


def _state(found: Part) -> str:
    if found.state == SYNCING:
        return "syncing"
    if found.error is not None:
        return "failing"
    if found.checked_on is None:
        return "new"
    return "absent" if found.is_absent else "waiting"
