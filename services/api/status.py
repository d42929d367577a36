"""Version, permission, usage."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import listing_namespaces
from condarium.domain import access
from condarium.domain.access import Action
from services.api import wire
from services.api.bodies import Model
from services.api.endpoint import Call, Gateway, quick
from services.api.replies import status as replies

#: the release of conda-store whose contract this is; its clients compare nothing but show it
CONTRACT = "2025.2.2"


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(gateway, "/api/v1/", show_version, returns=replies.Version),
        quick(gateway, "/api/v1/permission/", show_permission, returns=replies.Permission, tag="status"),
        quick(gateway, "/api/v1/usage/", show_usage, returns=dict[str, replies.Usage]),
    ]


def show_version(session: Session, call: Call[Model, Any]) -> Any:
    """The release of conda-store whose contract this is, and our own."""
    return {"version": CONTRACT, "condarium": {"version": _own_version()}}


def _own_version() -> str:
    try:
        return version("condarium")
    except PackageNotFoundError:
        return "0+checkout"


def show_permission(session: Session, call: Call[Model, Any]) -> Any:
    """Who the caller is, and what the caller may do where."""
    caller, principal = call.caller, call.caller.principal
    arns = {binding.arn for binding in principal.bindings}
    until = principal.expires_on
    return {
        "authenticated": principal.is_authenticated,
        "primary_namespace": caller.primary_namespace,
        "entity_permissions": {str(arn): access.permissions(principal, arn) for arn in sorted(arns)},
        "entity_roles": access.bindings_as_json(principal.bindings),
        # The one moment that conda-store writes with its zone.
        "expiration": f"{wire.moment(until)}Z" if until else None,
    }


def show_usage(session: Session, call: Call[Model, Any]) -> Any:
    """What each namespace that the caller sees holds."""
    rows = listing_namespaces.usage(session, shown=call.caller.visible(Action.READ_USAGE).whole_namespaces)
    return {row.namespace: wire.usage(row) for row in rows}
