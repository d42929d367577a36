"""Who has which role in a namespace: to its own members by ARN (v1), and to the members of other namespaces (v2)."""

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import namespaces as rows
from condarium.database import roles
from condarium.domain.access import Action
from condarium.errors import InvalidInput
from condarium.http.faults import Unprocessable
from services.api import namespace_roles, namespaces
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import back, written
from services.api.admin.namespaces import ONE, show_namespace
from services.api.endpoint import Call, Gateway


def routes(gateway: Gateway) -> list[Route]:
    return [
        written(gateway, f"{ONE}mappings/", update_namespace, show_namespace),
        written(gateway, f"{ONE}roles/", change_roles, show_namespace),
    ]


async def update_namespace(call: Call[Any, Any], form: Form) -> Response:
    """Gives a role on what an ARN holds to the namespace's own members, or takes it back."""
    do, entity, role = form.line("do"), form.line("entity"), form.line("role")
    if do not in ("add", "remove"):
        raise InvalidInput("do: add or remove")
    if not entity:
        raise Unprocessable([{"loc": ["body", "entity"], "msg": "say on what, such as team/* or team/ml-*"}])

    # Its name is what the audit log calls it.
    def update_namespace(session: Session, asked: Call[Any, Any]) -> Any:
        name = asked.text("namespace")
        asked.caller.require(Action.UPDATE_NAMESPACE, name)
        # REST replaces all mappings at once: what is there is read under the same lock.
        wanted: dict[str, list[str]] = {}
        for each in roles.mappings(session, rows.load(session, name, lock=True)):
            wanted.setdefault(each.entity, []).append(each.role)
        if do == "add":
            wanted[entity] = [*wanted.get(entity, ()), role]
        else:
            wanted[entity] = [each for each in wanted.get(entity, ()) if each != role]
        given = {place: held for place, held in wanted.items() if held}
        body = forms.checked(namespaces.NamespaceBody, {"role_mappings": given})
        return namespaces.update_namespace(session, replace(asked, body=body))

    await deeds.write(call, update_namespace)
    return _back(call, "mapping-added" if do == "add" else "mapping-removed")


async def change_roles(call: Call[Any, Any], form: Form) -> Response:
    """Gives a role to the members of another namespace, changes it, or takes it back."""
    do, other = form.line("do"), form.line("other_namespace")
    if not other:
        raise Unprocessable([{"loc": ["body", "other_namespace"], "msg": "say to whose members"}])
    body = forms.checked(namespace_roles.RoleBody, {"other_namespace": other, "role": form.line("role")})
    match do:
        case "give":
            await deeds.write(call, namespace_roles.create_role, body=body)
        case "change":
            await deeds.write(call, namespace_roles.update_role, body=body)
        case "take":
            await deeds.write(call, namespace_roles.delete_role, body=namespace_roles.OtherBody(other_namespace=other))
        case _:
            raise InvalidInput("do: give, change or take")
    return _back(call, "mapping-removed" if do == "take" else "mapping-added")


def _back(call: Call[Any, Any], said: str) -> Response:
    return back(call, ONE.format(namespace=call.text("namespace")), said)
