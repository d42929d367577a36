"""Version, permission, namespaces, usage."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import listing_namespaces, namespaces
from condarium.domain.access import Action
from condarium.http.caller import Caller
from condarium.http.json_reply import JsonReply
from services.api import wire
from services.api.bodies import Model, PagingQuery
from services.api.declaration import bare
from services.api.endpoint import Call, Gateway, quick
from services.api.replies import status as replies
from services.api.replies.environments import Namespace, NamespacePage

#: the release of conda-store whose contract this is; its clients compare nothing but show it
CONTRACT = "2025.2.2"


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(gateway, "/api/v1/", show_version, returns=replies.Version),
        quick(gateway, "/api/v1/permission/", show_permission, returns=replies.Permission),
        quick(gateway, "/api/v1/usage/", show_usage, returns=dict[str, replies.Usage]),
        quick(gateway, "/api/v1/namespace/", list_namespaces, query=PagingQuery, returns=bare(NamespacePage)),
        quick(gateway, "/api/v1/namespace/{namespace}/", show_namespace, returns=Namespace, errors=(403,)),
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
    caller = call.caller
    asked = {"*/*": "", f"{caller.default_namespace}/*": caller.default_namespace}
    permissions = {arn: _permissions(caller, namespace) for arn, namespace in asked.items()}
    return {
        "authenticated": caller.principal.is_authenticated,
        "primary_namespace": caller.default_namespace,
        "entity_permissions": {arn: found for arn, found in permissions.items() if found},
        "entity_roles": _roles(caller, permissions),
        "expiration": None,
    }


def _permissions(caller: Caller, namespace: str) -> list[str]:
    return sorted(action.value for action in Action if caller.may(action, namespace))


def _roles(caller: Caller, permissions: Mapping[str, list[str]]) -> dict[str, list[str]]:
    role = "admin" if caller.principal.is_admin else "viewer"
    return {arn: [role] for arn, found in permissions.items() if found}


def show_usage(session: Session, call: Call[Model, Any]) -> Any:
    """What each namespace that the caller sees holds."""
    rows = listing_namespaces.usage(session, namespaces=call.caller.visible())
    return {row.namespace: wire.usage(row) for row in rows}


def list_namespaces(session: Session, call: Call[PagingQuery, Any]) -> Any:
    """The namespaces that the caller sees."""
    page = listing_namespaces.page(session, namespaces=call.caller.visible(), paging=call.query.paging())
    rows = [{"id": row.id, "name": row.name} for row in page.rows]
    # This one list has no `message` in conda-store.
    return JsonReply({"status": "ok", "data": rows, "page": page.page, "size": page.size, "count": page.count})


def show_namespace(session: Session, call: Call[Model, Any]) -> Any:
    """One namespace."""
    name = call.text("namespace")
    call.caller.require(Action.READ_NAMESPACE, name)
    found = namespaces.load(session, name)
    return {**wire.namespace(found.id, found.name), "metadata_": found.metadata_}
