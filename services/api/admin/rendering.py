"""Templates as pages: nothing from elsewhere, no script but those with this reply's nonce."""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from condarium.domain.access import Action
from services.api.admin.forms import Fault, Form
from services.api.endpoint import Call

TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: what a page says after a deed, by the word in its address: nothing of an address is shown itself
SAID = {
    "canceled": "The build is canceled.",
    "canceling": "The build is asked to stop.",
    "retried": "The build is queued again.",
    "rebuilt": "A new build of the same specification is queued.",
    "build-deleted": "The build is deleted.",
    "switched": "The environment has another current build now.",
    "environment-deleted": "The environment is deleted.",
    "namespace-made": "The namespace is there now.",
    "namespace-deleted": "The namespace is deleted.",
    "mapping-added": "The role is given.",
    "mapping-removed": "The role is taken back.",
    "revoked": "The token is revoked.",
    "setting-set": "The setting is changed.",
    "setting-unset": "The setting is taken back; the level above holds.",
    "quota-changed": "The quota is changed.",
    "sweep-asked": "It is asked for; show the page again in a moment.",
}
NAVIGATION = (
    ("/admin/", "Overview"),
    ("/admin/builds/", "Builds"),
    ("/admin/environments/", "Environments"),
    ("/admin/namespaces/", "Namespaces"),
    ("/admin/tokens/", "Tokens"),
    ("/admin/settings/", "Settings"),
    ("/admin/usage/", "Usage"),
    ("/admin/audit/", "Audit"),
)
#: for those who operate the installation, and nobody else
OF_OPERATORS = (("/admin/garbage/", "Garbage"),)


@dataclass(frozen=True)
class Pager:
    """Where in a list a page stands; the addresses are queries, empty at an end."""

    page: int
    pages: int
    count: int
    before: str
    after: str


def pager(call: Call[Any, Any], page: int, size: int, count: int) -> Pager:
    kept = {name: value for name, value in call.request.query_params.items() if name not in ("page", "said") and value}

    def address(number: int) -> str:
        return "?" + urlencode({**kept, "page": number})

    pages = max(1, -(-count // size))
    return Pager(page, pages, count, address(page - 1) if page > 1 else "", address(page + 1) if page < pages else "")


def render(
    call: Call[Any, Any],
    template: str,
    *,
    title: str,
    form: Form | None = None,
    fault: Fault | None = None,
    fault_at: str = "",
    **values: Any,
) -> HTMLResponse:
    """A page; with a fault its status is the fault's. `fault_at` is the form that the fault is of, if not the page."""
    nonce = secrets.token_urlsafe(16)
    path = call.request.url.path.removeprefix(call.link(""))
    text = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            root=call.link(""),
            nonce=nonce,
            here=path,
            me=call.caller.name,
            may=call.caller.may,
            Action=Action,
            navigation=NAVIGATION + (OF_OPERATORS if call.caller.may(Action.OPERATE) else ()),
            said=SAID.get(call.request.query_params.get("said", ""), ""),
            form=form or Form(),
            fault=fault,
            fault_at=fault_at if fault else "",
            **values,
        )
    )
    headers = {
        "content-security-policy": POLICY.format(nonce=nonce),
        "cache-control": "no-store",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }
    if fault is not None and fault.status in (429, 503):
        headers["retry-after"] = "2"
    return HTMLResponse(text, fault.status if fault else 200, headers=headers)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=moment, size=size, duration=duration, json=as_json)
    return made


def moment(text: str | None) -> Markup:
    """A time of the contract (UTC without an offset) for people, to the second."""
    if not text:
        return Markup('<span class="quiet">–</span>')
    return Markup('<time datetime="{}Z">{} UTC</time>').format(text[:19], text[:19].replace("T", " "))


def size(count: int | None) -> str:
    """Bytes in the nearest unit."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float | int | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 90 else str(timedelta(seconds=round(seconds)))


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
