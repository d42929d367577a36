"""Settings: what holds at a level and where it comes from, changed key by key, with their history."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from condarium.domain.access import Action
from condarium.domain.settings.keys import KEYS, Key, Kind, Scope
from condarium.errors import InvalidInput
from condarium.http.faults import Unprocessable
from services.api import settings
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import render
from services.api.endpoint import Call, Gateway
from services.api.settings import HistoryQuery, SettingsBody

HOME = "/admin/settings/"
PLACES = (HOME, f"{HOME}{{namespace}}/", f"{HOME}{{namespace}}/{{environment_name}}/")
CHANGES = 20
_LISTS = frozenset(
    {
        Kind.CHANNELS, Kind.PACKAGES, Kind.REQUIREMENTS, Kind.PLATFORMS, Kind.INDEXED_PLATFORMS, Kind.ARTIFACTS,
    }
)  # fmt: skip
_EXAMPLES = {
    Kind.VIRTUAL_PACKAGES: '{"linux-64": ["__cuda=12.4"]}',
    Kind.LABELS: '{"org.example.team": "blue"}',
}


def routes(gateway: Gateway) -> Iterable[Route]:
    for place in PLACES:
        yield shown(gateway, place, show_settings)
        yield written(gateway, place, change_settings, show_settings)


async def show_settings(call: Call[Any, Any], again: Again) -> Response:
    """Every key with the value that holds; one of them in a form, if `?key=` names it."""
    query, namespace, environment = forms.asked(call), *_place(call)
    if not namespace and query.line("namespace"):
        return RedirectResponse(call.link(_address(query.line("namespace"), query.line("environment"))), 303)
    found: list[dict[str, Any]] = []
    history: list[dict[str, Any]] = []
    reads = bool(namespace) or call.caller.may(Action.READ_SETTING)
    if reads:
        found = await deeds.read(call, settings.show_origins)
        history = await deeds.read(call, settings.show_history, query=HistoryQuery(limit=CHANGES))
    chosen = again.form.line("key") or query.line("key")
    rows = [each | {"settable": _settable(each, namespace, environment)} for each in found]
    writes = call.caller.may(Action.UPDATE_SETTING, namespace, environment)
    edited = next((each for each in rows if each["key"] == chosen and each["settable"]), None)
    return render(
        call,
        "settings.html",
        title="Settings" + (f" of {namespace}" if namespace else "") + (f"/{environment}" if environment else ""),
        form=again.form,
        fault=again.fault,
        fault_at="edit" if edited and writes else "",
        reads=reads,
        writes=writes,
        namespace=namespace,
        environment=environment,
        level="environment" if environment else "namespace" if namespace else "global",
        place=_address(namespace, environment),
        settings=rows,
        history=history,
        edited=edited,
        kind=KEYS[edited["key"]].kind if edited else None,
        lists=_LISTS,
        typed=again.form["value"] if again.fault else _as_text(edited) if edited else "",
    )


def _place(call: Call[Any, Any]) -> tuple[str, str]:
    path = call.request.path_params
    return str(path.get("namespace", "")), str(path.get("environment_name", ""))


def _address(namespace: str, environment: str) -> str:
    return HOME + "".join(f"{quote(name, safe='')}/" for name in (namespace, environment) if name)


def _settable(row: dict[str, Any], namespace: str, environment: str) -> bool:
    """Whether the key is one of this level."""
    scope = KEYS[row["key"]].scope
    return not row["fixed"] and (not namespace or scope == Scope.ANY or (scope == Scope.NAMESPACE and not environment))


def _as_text(row: dict[str, Any]) -> str:
    """A value as its form shows it: lists line by line."""
    kind, value = KEYS[row["key"]].kind, row["value"]
    if kind in _LISTS:
        return "\n".join(value)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


def _value(key: Key, form: Form) -> Any:
    """What was typed, as JSON would have it; what is no such thing stays text, for REST to say what is wrong.

    Raises Unprocessable.
    """
    if key.kind in _LISTS:
        return form.lines("value")
    text = form.line("value")
    if key.kind in (Kind.TEXT, Kind.MODE, Kind.URL, Kind.NAME, Kind.USER, Kind.DIRECTORY):
        return text
    if not text:
        raise Unprocessable([{"loc": ["body", "value"], "msg": "type a value, or take the setting back"}])
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        if key.kind in _EXAMPLES:
            raise Unprocessable(
                [{"loc": ["body", "value"], "msg": f"this is no JSON such as {_EXAMPLES[key.kind]}"}]
            ) from None
        return text


async def change_settings(call: Call[Any, Any], form: Form) -> Response:
    """Sets one key at this level, or takes it back."""
    name, do = form.line("key"), form.line("do")
    if name not in KEYS:
        raise InvalidInput("key: there is no setting of that name")
    if do not in ("set", "unset"):
        raise InvalidInput("do: set or unset")
    value = None if do == "unset" else _value(KEYS[name], form)
    body = forms.checked(SettingsBody, {name: value})
    await deeds.write(call, settings.change_settings, body=body)
    return back(call, _address(*_place(call)), f"setting-{do}")
