"""The audit log: who did what, filtered, page by page, and its export."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from condarium.errors import InvalidInput, NotAuthorized
from condarium.http.faults import Unprocessable
from services.api import audit
from services.api.admin import deeds, forms
from services.api.admin.frame import Again, shown
from services.api.admin.rendering import render
from services.api.endpoint import Call, Gateway

HOME = "/admin/audit/"
ROWS = 50
FILTERS = ("principal", "action", "namespace", "outcome", "since", "until")


def routes(gateway: Gateway) -> list[Route]:
    return [shown(gateway, HOME, show_audit)]


async def show_audit(call: Call[Any, Any], again: Again) -> Response:
    """Who did what, the newest first."""
    form, fault = forms.asked(call), None
    asked = {name: form.line(name) for name in FILTERS}
    found: dict[str, Any] = {"data": [], "cursor": None}
    try:
        query = forms.checked(audit.AuditQuery, {**asked, "cursor": form.line("cursor"), "limit": ROWS})
        found = await deeds.listed(call, audit.show_audit, query)
    except (Unprocessable, InvalidInput) as error:
        fault = forms.fault_of(error)
    except NotAuthorized as error:
        if not asked["namespace"]:
            raise
        # The form stays, for another namespace.
        fault = forms.fault_of(error)
        call.gateway.tallies.denied(
            principal=call.caller.name,
            action=error.action or "audit",
            resource=error.resource or "*/*",
            address=call.address,
        )
    kept = {name: value for name, value in asked.items() if value}
    return render(
        call,
        "audit.html",
        title="Audit",
        form=form,
        fault=fault,
        rows=found["data"],
        first=not form.line("cursor"),
        newest="?" + urlencode(kept),
        older="?" + urlencode({**kept, "cursor": found["cursor"]}) if found["cursor"] else "",
        export=call.link("/api/v1/audit/") + "?" + urlencode({**kept, "format": "jsonl"}),
    )
