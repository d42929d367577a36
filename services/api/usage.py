"""What namespaces use, and what they may."""

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import namespaces, settings, usage
from condarium.database.settings import Place
from condarium.database.tables import Namespace
from condarium.database.usage import QUOTAS, Used
from condarium.domain import on_demand
from condarium.domain.access import Action
from condarium.domain.quota import left
from condarium.domain.settings.values import MAX_COUNT
from condarium.errors import NotFound
from services.api import wire
from services.api.bodies import Model
from services.api.declaration import ACK, data
from services.api.endpoint import Ack, Call, Gateway, quick
from services.api.replies import usage as replies

QUOTA = "/api/v1/namespace/{namespace}/quota"
Limit = Annotated[int | None, Field(ge=0, le=MAX_COUNT, strict=True)]


class QuotaBody(Model):
    """What is left out stays; null is the installation's own limit, or none."""

    builds: Limit = None
    bytes: Limit = None
    concurrent_builds: Limit = None


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(gateway, "/api/v1/usage/", show_usage, returns=data(dict[str, replies.Usage])),
        quick(gateway, QUOTA, show_quota, returns=data(replies.Quota), errors=(403,)),
        quick(gateway, QUOTA, change_quota, method="PUT", body=QuotaBody, returns=ACK, errors=(403,)),
    ]


def show_usage(session: Session, call: Call[Model, Any]) -> Any:
    """What each namespace that the caller sees uses, and what is left of its quota.

    `storage` is `exclusive` and `shared` together: bytes of prefixes and artifacts, each counted once in a namespace;
    `saved_by_links` are those that its prefixes would need more without hard links.
    Counts are exact, bytes at most a minute old.
    """
    shown = call.caller.visible(Action.READ_USAGE).whole_namespaces
    found = usage.of_visible(session, shown, deployment=call.gateway.deployment)
    saved = usage.saved_by_links(session, shown)
    return {each.namespace: _shown(each, saved.get(each.namespace, 0)) for each in found}


def show_quota(session: Session, call: Call[Model, Any]) -> Any:
    """The limits of a namespace; null is none."""
    space = _space(session, call, Action.READ_USAGE)
    limits = usage.quota(settings.effective(session, Place(space.id), deployment=call.gateway.deployment).values)
    return {"builds": limits.builds, "bytes": limits.bytes, "concurrent_builds": limits.concurrent_builds}


def change_quota(session: Session, call: Call[Model, QuotaBody]) -> Any:
    """Sets limits of a namespace. What is there or under way stays; new builds are refused above a limit."""
    space = _space(session, call, Action.UPDATE_QUOTA)
    changes = {f"quota_{name}": getattr(call.body, name) for name in sorted(call.body.model_fields_set)}
    changed = settings.change(session, Place(space.id), changes, actor=call.caller.name)
    call.notes["settings"] = {key: {"from": before, "to": after} for key, (before, after) in changed.items()}
    return Ack(f"quota of the namespace {space.name} updated")


def _space(session: Session, call: Call[Any, Any], action: Action) -> Namespace:
    name = call.text("namespace")
    call.caller.require(action, name)
    found = namespaces.find(session, name)
    if found is None and action == Action.UPDATE_QUOTA and name == on_demand.NAMESPACE:
        # The first pull by packages makes it; its quota comes before that.
        found = namespaces.ensure(session, name, actor=call.caller.name, reserved=True)
    if found is None:
        raise NotFound("namespace does not exist")
    return found


def _shown(each: Used, saved: int) -> dict[str, Any]:
    used, limits = each.usage, each.quota
    return {
        "num_environments": used.environments,
        "num_builds": used.builds,
        "storage": used.bytes,
        "condarium": {
            "exclusive": used.exclusive,
            "shared": used.shared,
            "saved_by_links": saved,
            "measured_on": wire.moment(each.measured_on),
            "concurrent_builds": used.active,
            "quota": {key.removeprefix("quota_"): getattr(limits, key.removeprefix("quota_")) for key in QUOTAS},
            "left": {
                "builds": left(limits.builds, used.builds),
                "bytes": left(limits.bytes, used.bytes),
                "concurrent_builds": left(limits.concurrent_builds, used.active),
            },
        },
    }
