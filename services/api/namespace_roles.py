"""Roles that a namespace gives to the members of another one: conda-store's second kind of role mappings."""

from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import namespaces, roles
from condarium.database.tables import Namespace
from condarium.domain.access import Action, parse_role
from condarium.errors import Conflict, InvalidInput, NotFound
from services.api import wire
from services.api.bodies import Model, Text
from services.api.declaration import ACK
from services.api.endpoint import Ack, Call, Gateway, quick
from services.api.replies.environments import NamespaceRole

# These addresses have no slash at their end in conda-store.
ROLES = "/api/v1/namespace/{namespace}/roles"
ROLE = "/api/v1/namespace/{namespace}/role"
#: conda-store's words
NO_ROLE = "failed to find role"


class OtherQuery(Model):
    other_namespace: Text


class OtherBody(Model):
    other_namespace: Text


class RoleBody(OtherBody):
    """`role` is viewer, developer (or editor) or admin."""

    role: Text


def routes(gateway: Gateway) -> list[Route]:
    wrong = (400, 403)
    return [
        quick(gateway, ROLES, list_roles, returns=list[NamespaceRole], errors=(403,)),
        quick(gateway, ROLES, delete_roles, method="DELETE", returns=ACK, errors=(403,)),
        quick(gateway, ROLE, show_role, query=OtherQuery, returns=NamespaceRole, errors=wrong),
        quick(gateway, ROLE, create_role, method="POST", body=RoleBody, returns=ACK, errors=(403, 409)),
        quick(gateway, ROLE, update_role, method="PUT", body=RoleBody, returns=ACK, errors=wrong),
        quick(gateway, ROLE, delete_role, method="DELETE", body=OtherBody, returns=ACK, errors=wrong),
    ]


def _namespace(session: Session, call: Call[Any, Any], action: Action) -> Namespace:
    """That of the path. Raises NotAuthorized, NotFound."""
    name = call.text("namespace")
    call.caller.require(action, name)
    return namespaces.load(session, name)


def _other(session: Session, name: str) -> Namespace:
    found = namespaces.find(session, name)
    if found is None:
        raise InvalidInput(f"Namespace={name!r} not found")
    return found


def list_roles(session: Session, call: Call[Model, Any]) -> Any:
    """To whose members this namespace gives roles."""
    namespace = _namespace(session, call, Action.READ_ROLE_MAPPING)
    return [wire.namespace_role(row, namespace.name) for row in roles.listed(session, namespace)]


def delete_roles(session: Session, call: Call[Model, Any]) -> Any:
    """Takes all of them back."""
    roles.remove(session, _namespace(session, call, Action.DELETE_ROLE_MAPPING))
    return Ack()


def show_role(session: Session, call: Call[OtherQuery, Any]) -> Any:
    """The role that this namespace gives to the members of another one."""
    namespace = _namespace(session, call, Action.READ_ROLE_MAPPING)
    found = roles.find(session, namespace, _other(session, call.query.other_namespace))
    if found is None:
        raise NotFound(NO_ROLE)
    return wire.namespace_role(found, namespace.name)


def create_role(session: Session, call: Call[Model, RoleBody]) -> Any:
    """Gives a role on all of this namespace to those whose primary namespace is the other one."""
    namespace = _namespace(session, call, Action.CREATE_ROLE_MAPPING)
    role, other = parse_role(call.body.role), _other(session, call.body.other_namespace)
    if not roles.create(session, namespace, other, role, actor=call.caller.name):
        raise Conflict(f"{other.name} has a role in {namespace.name} already; PUT changes it")
    return Ack()


def update_role(session: Session, call: Call[Model, RoleBody]) -> Any:
    """Another role instead of the one that was given."""
    namespace = _namespace(session, call, Action.UPDATE_ROLE_MAPPING)
    role, other = parse_role(call.body.role), _other(session, call.body.other_namespace)
    if not roles.change(session, namespace, other, role):
        raise NotFound(NO_ROLE)
    return Ack()


def delete_role(session: Session, call: Call[Model, OtherBody]) -> Any:
    """Takes the role back; where there is none, nothing is done."""
    namespace = _namespace(session, call, Action.DELETE_ROLE_MAPPING)
    roles.remove(session, namespace, _other(session, call.body.other_namespace))
    return Ack()
