"""Version, permission."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.domain import access
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
        "condarium": {"name": caller.name},
    }
