"""Garbage: the last sweeps and what they freed, and a button that says what one would free now."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.errors import InvalidInput
from services.api import garbage
from services.api.admin import deeds
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import render
from services.api.endpoint import Call, Gateway
from services.api.garbage import LatestQuery, SweepBody

HOME = "/admin/garbage/"
NEWEST = 20
#: what the buttons say: whether it is only a rehearsal
DEEDS = {"rehearse": True, "sweep": False}


def routes(gateway: Gateway) -> list[Route]:
    return [shown(gateway, HOME, show_garbage), written(gateway, HOME, ask_sweep, show_garbage)]


async def show_garbage(call: Call[Any, Any], again: Again) -> Response:
    """The last sweeps and verifications, the newest first."""
    found = await deeds.read(call, garbage.list_sweeps, query=LatestQuery(limit=NEWEST))
    sweeps = [{**each, "lines": [line for part in each["parts"] for line in _lines(part)]} for each in found]
    return render(call, "garbage.html", title="Garbage", form=again.form, fault=again.fault, sweeps=sweeps)


def _lines(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a part freed or found, by kind, as rows of a table; one row where there is nothing to count."""
    report = part["report"]
    counted = [
        {"kind": kind, **numbers, "waits": key == "waiting"}
        for key in ("freed", "waiting")
        for kind, numbers in report.get(key, {}).items()
    ]
    if "checked" in report:
        counted.append({"kind": "damaged", "count": report["bad_count"], "bytes": None, "waits": False})
    empty = {"kind": "", "count": None, "bytes": None, "waits": False}
    return [
        {"part": part["part"], "state": part["state"], "message": part["message"], "ended_on": part["ended_on"], **each}
        for each in counted or [empty]
    ]


async def ask_sweep(call: Call[Any, Any], form: Form) -> Response:
    """Asks the services for a sweep, or to say what one would free."""
    do = form.line("do")
    if do not in DEEDS:
        raise InvalidInput("do: write rehearse or sweep")
    await deeds.write(call, garbage.ask_sweep, body=SweepBody(dry_run=DEEDS[do]))
    return back(call, HOME, "sweep-asked")
