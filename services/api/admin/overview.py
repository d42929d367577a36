"""The first page: who one is, what goes on, what is new."""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import bindings_as_json
from condarium.domain.build import Status
from services.api import builds
from services.api.admin import deeds
from services.api.admin.frame import Again, shown
from services.api.admin.rendering import render
from services.api.bodies import BuildsQuery
from services.api.endpoint import Call, Gateway

NEWEST = 10
#: that somebody may want to look at
COUNTED = (Status.BUILDING, Status.QUEUED, Status.FAILED)


def routes(gateway: Gateway) -> list[Route]:
    return [shown(gateway, "/admin/", show_overview)]


async def show_overview(call: Call[Any, Any], again: Again) -> Response:
    """The first page of /admin/."""
    counts = {}
    for status in COUNTED:
        found = await deeds.listed(call, builds.list_builds, BuildsQuery(status=status, page=1, size=1))
        counts[status.value] = found["count"]
    newest = await deeds.listed(
        call, builds.list_builds, BuildsQuery(page=1, size=NEWEST, order="desc", sort_by=("id",))
    )
    return render(
        call,
        "overview.html",
        title="Overview",
        counts=counts,
        builds=newest["data"],
        roles=bindings_as_json(call.caller.principal.bindings),
        primary_namespace=call.caller.primary_namespace,
    )
