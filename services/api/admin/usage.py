"""Usage and quotas by namespace."""

import re
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import Action
from services.api import usage
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import render
from services.api.endpoint import Call, Gateway
from services.api.usage import QuotaBody

LIST, ONE = "/admin/usage/", "/admin/usage/{namespace}/"
LIMITS = {
    "builds": "Builds",
    "bytes": "Bytes",
    "concurrent_builds": "Builds queued or running at a time",
}


def routes(gateway: Gateway) -> list[Route]:
    return [
        shown(gateway, LIST, show_usage),
        shown(gateway, ONE, show_quota),
        written(gateway, ONE, change_quota, show_quota),
    ]


async def show_usage(call: Call[Any, Any], again: Again) -> Response:
    """What each namespace uses, and how much it may."""
    return render(call, "usage.html", title="Usage", usage=await deeds.read(call, usage.show_usage))


async def show_quota(call: Call[Any, Any], again: Again) -> Response:
    """The limits of one namespace, beside what it uses."""
    limits = await deeds.read(call, usage.show_quota)
    used = await deeds.read(call, usage.show_usage)
    name = call.text("namespace")
    typed = {limit: again.form[limit] if again.fault else _text(limits[limit]) for limit in LIMITS}
    return render(
        call,
        "quota.html",
        title=f"Quota of {name}",
        form=again.form,
        fault=again.fault,
        fault_at="limits" if call.caller.may(Action.UPDATE_QUOTA) else "",
        namespace=name,
        labels=LIMITS,
        limits=limits,
        typed=typed,
        used=used.get(name),
    )


def _text(limit: int | None) -> str:
    return "" if limit is None else str(limit)


def _number(text: str) -> Any:
    """An empty field is no limit; what is no number is left for the model to refuse."""
    if not text:
        return None
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else text


async def change_quota(call: Call[Any, Any], form: Form) -> Response:
    """Sets the limits of a namespace that were changed: others may be the installation's own."""
    changed = [limit for limit in LIMITS if limit in form.values and form.values.get(f"was_{limit}") != form[limit]]
    body = forms.checked(QuotaBody, {limit: _number(form.line(limit)) for limit in changed})
    await deeds.write(call, usage.change_quota, body=body)
    return back(call, ONE.format(namespace=call.text("namespace")), "quota-changed")
