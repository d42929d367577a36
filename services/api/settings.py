"""Settings by level: what holds, what is changed, where it comes from and how it came to be (docs/settings.md)."""

from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.conda import matchspec
from condarium.database import namespaces, settings
from condarium.database.settings import GLOBAL, Place
from condarium.domain import on_demand
from condarium.domain.access import Action
from condarium.domain.naming import check_name
from condarium.domain.settings import Effective, Level, check_changes, merge, weakened
from condarium.domain.settings.keys import KEYS
from condarium.errors import NotAuthorized, NotFound
from services.api import wire
from services.api.bodies import Model, Number
from services.api.declaration import bare, data
from services.api.endpoint import Call, Done, Gateway, quick
from services.api.replies import settings as replies

PLACES = ("", "{namespace}/", "{namespace}/{environment_name}/")


class SettingsBody(Model):
    """Any of the keys of GET, with their new values; null takes a value back, so that the level above holds."""

    model_config = ConfigDict(frozen=True, extra="allow")


class HistoryQuery(Model):
    """The newest first; `before` is the id of the last one seen."""

    limit: int = Field(100, ge=1, le=1000)
    before: Number = None


def routes(gateway: Gateway) -> list[Route]:
    return [route for place in PLACES for route in _of_place(gateway, place)]


def _of_place(gateway: Gateway, place: str) -> Iterable[Route]:
    path = f"/api/v1/setting/{place}"
    yield quick(gateway, path, show_settings, returns=data(replies.Settings), errors=(403,))
    yield quick(
        gateway,
        path,
        change_settings,
        method="PUT",
        body=SettingsBody,
        returns=bare(replies.SettingsChanged),
        errors=(400, 403),
    )
    origin, history = f"/api/v1/setting-origin/{place}", f"/api/v1/setting-history/{place}"
    yield quick(gateway, origin, show_origins, returns=data(list[replies.Origin]), errors=(403,), tag="setting")
    yield quick(
        gateway,
        history,
        show_history,
        query=HistoryQuery,
        returns=data(list[replies.Change]),
        errors=(403,),
        tag="setting",
    )


def show_settings(session: Session, call: Call[Model, Any]) -> Any:
    """What holds: every key, with the value of the nearest level that has one."""
    place = _place(session, call, Action.READ_SETTING)
    return dict(_effective(session, call, place).values)


def change_settings(session: Session, call: Call[Model, SettingsBody]) -> Any:
    """Sets keys at this level. Builds that are queued already keep what held when they were asked for.

    Raises InvalidInput that names the key and what was found; NotAuthorized.
    """
    asked = dict(call.body.model_extra or {})
    place = _place(session, call, Action.UPDATE_SETTING, changing=True)
    current = _effective(session, call, place)
    changes = check_changes(asked, place.level, current, check_match_spec=matchspec.check)
    _check_rights(session, call, place, current, changes)
    changed = settings.change(session, place, changes, actor=call.caller.name)
    call.notes["settings"] = {key: {"from": before, "to": after} for key, (before, after) in changed.items()}
    return Done(None, f"global setting keys {list(asked)} updated")


def show_origins(session: Session, call: Call[Model, Any]) -> Any:
    """What holds, key by key: from which level, since when and by whom, and what it does."""
    place = _place(session, call, Action.READ_SETTING)
    found = _effective(session, call, place)
    rows = settings.origins(session, place)
    shown = []
    for name, key in KEYS.items():
        row = rows.get((found.origins[name], name))
        shown.append(
            {
                "key": name,
                "value": found[name],
                "level": found.origins[name].word,
                "changed_on": wire.moment(row.changed_on) if row else None,
                "changed_by": row.changed_by if row else None,
                "scope": key.scope.value,
                "effect": key.effect,
                "fixed": key.fixed,
            }
        )
    return shown


def show_history(session: Session, call: Call[HistoryQuery, Any]) -> Any:
    """Every change made at exactly this level: who, when, from what, to what; null is not set."""
    place = _place(session, call, Action.READ_SETTING)
    rows = settings.history(session, place, limit=call.query.limit, before=call.query.before)
    return [
        {
            "id": row.id,
            "key": row.key,
            "from": row.before,
            "to": row.after,
            "changed_on": wire.moment(row.changed_on),
            "changed_by": row.changed_by,
        }
        for row in rows
    ]


def _place(session: Session, call: Call[Any, Any], action: Action, *, changing: bool = False) -> Place:
    """What the path names, if the caller may. An environment need not be there yet, its namespace must."""
    path = call.request.path_params
    namespace, environment = str(path.get("namespace", "")), str(path.get("environment_name", ""))
    call.caller.require(action, namespace, environment)
    if not namespace:
        return GLOBAL
    found = namespaces.find(session, namespace)
    if found is None and changing and namespace == on_demand.NAMESPACE:
        # The first pull by packages makes it; its settings come before that.
        found = namespaces.ensure(session, namespace, actor=call.caller.name, reserved=True)
    if found is None:
        raise NotFound("namespace does not exist")
    return Place(found.id, check_name("environment", environment) if environment else "")


def _effective(session: Session, call: Call[Any, Any], place: Place) -> Effective:
    return settings.effective(session, place, deployment=call.gateway.deployment)


def _check_rights(
    session: Session, call: Call[Any, Any], place: Place, current: Effective, changes: dict[str, Any]
) -> None:
    """Raises NotAuthorized when the change is one for administrators of the installation."""
    if any(name.startswith("quota_") for name in changes):
        call.caller.require(Action.UPDATE_QUOTA)
    if place.level == Level.GLOBAL or call.caller.may(Action.UPDATE_SETTING):
        return
    above = settings.levels(session, place.above, deployment=call.gateway.deployment)
    here = settings.levels(session, place, deployment=call.gateway.deployment)
    kept = {key: value for key, value in (here.get(place.level, {}) | changes).items() if value is not None}
    problem = weakened(merge(above), current, merge({**above, place.level: kept}), changes)
    if problem is not None:
        raise NotAuthorized(problem, action=Action.UPDATE_SETTING.value, resource="*/*")
