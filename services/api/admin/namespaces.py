"""Namespaces: made, looked at, deleted."""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import Action, Role
from condarium.http.faults import Unprocessable
from services.api import namespace_roles, namespaces
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import pager, render
from services.api.bodies import PagingQuery
from services.api.endpoint import Call, Gateway

LIST, ONE = "/admin/namespaces/", "/admin/namespaces/{namespace}/"
ROWS = 50


def routes(gateway: Gateway) -> list[Route]:
    return [
        shown(gateway, LIST, show_namespaces),
        written(gateway, LIST, create_namespace, show_namespaces),
        shown(gateway, ONE, show_namespace),
        shown(gateway, f"{ONE}delete/", confirm_delete),
        written(gateway, f"{ONE}delete/", delete_namespace, confirm_delete),
    ]


async def show_namespaces(call: Call[Any, Any], again: Again) -> Response:
    """The namespaces of which one may see anything."""
    fault, found, page = again.fault, None, 1
    try:
        query = forms.checked(
            PagingQuery, {"page": forms.asked(call).get("page", "1"), "size": ROWS, "sort_by": ("name",)}
        )
        found, page = await deeds.listed(call, namespaces.list_namespaces, query), query.page
    except Unprocessable as error:
        fault = forms.fault_of(error)
    return render(
        call,
        "namespaces.html",
        title="Namespaces",
        form=again.form,
        fault=fault,
        fault_at="new" if again.fault else "",
        namespaces=found["data"] if found else [],
        pager=pager(call, page, ROWS, found["count"]) if found else None,
    )


async def show_namespace(call: Call[Any, Any], again: Again) -> Response:
    """One namespace, and who has which role in it."""
    found = await deeds.read(call, namespaces.show_namespace)
    reads_roles = call.caller.may(Action.READ_ROLE_MAPPING, found["name"])
    return render(
        call,
        "namespace.html",
        title=f"Namespace {found['name']}",
        form=again.form,
        fault=again.fault,
        fault_at=call.request.url.path.rstrip("/").rpartition("/")[2] if reads_roles else "",
        namespace=found,
        reads_roles=reads_roles,
        given=await deeds.read(call, namespace_roles.list_roles) if reads_roles else [],
        roles=[each.value for each in Role],
    )


async def confirm_delete(call: Call[Any, Any], again: Again) -> Response:
    """Asks once more."""
    found = await deeds.read(call, namespaces.show_namespace)
    return render(
        call,
        "confirm.html",
        title=f"Delete the namespace {found['name']}?",
        fault=again.fault,
        what=f"The namespace {found['name']}",
        explained="Its environments, builds, roles, settings and credentials go with it; quotas stay with the name.",
        button="Delete the namespace",
        stay=ONE.format(namespace=found["name"]),
    )


async def create_namespace(call: Call[Any, Any], form: Form) -> Response:
    """A new namespace."""
    name = form.line("name")
    if not name:
        raise Unprocessable([{"loc": ["body", "name"], "msg": "a namespace needs a name"}])
    await deeds.write(call, namespaces.create_namespace, path={"namespace": name})
    return back(call, ONE.format(namespace=name), "namespace-made")


async def delete_namespace(call: Call[Any, Any], form: Form) -> Response:
    """Deletes the namespace with all its environments."""
    await deeds.write(call, namespaces.delete_namespace)
    return back(call, LIST, "namespace-deleted")
