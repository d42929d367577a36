"""Environments: where they point, their builds, another current build, their end."""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.http.faults import Unprocessable
from services.api import builds, environments
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import pager, render
from services.api.bodies import BuildsQuery, EnvironmentBody, EnvironmentsQuery
from services.api.endpoint import Call, Gateway

LIST, ONE = "/admin/environments/", "/admin/environments/{namespace}/{environment_name}/"
ROWS = 25


def routes(gateway: Gateway) -> list[Route]:
    return [
        shown(gateway, LIST, show_environments),
        shown(gateway, ONE, show_environment),
        written(gateway, ONE, update_environment, show_environment),
        shown(gateway, f"{ONE}delete/", confirm_delete),
        written(gateway, f"{ONE}delete/", delete_environment, confirm_delete),
    ]


async def show_environments(call: Call[Any, Any], again: Again) -> Response:
    """The environments that one may see."""
    form, fault, found, page = forms.asked(call), None, None, 1
    try:
        query = forms.checked(
            EnvironmentsQuery,
            {
                "search": form.line("search"),
                "namespace": form.line("namespace"),
                "page": form.get("page", "1"),
                "size": ROWS,
            },
        )
        found, page = await deeds.listed(call, environments.list_environments, query), query.page
    except Unprocessable as error:
        fault = forms.fault_of(error)
    return render(
        call,
        "environments.html",
        title="Environments",
        form=form,
        fault=fault,
        environments=found["data"] if found else [],
        pager=pager(call, page, ROWS, found["count"]) if found else None,
    )


async def show_environment(call: Call[Any, Any], again: Again) -> Response:
    """One environment with its builds."""
    found = await deeds.read(call, environments.show_environment)
    page = forms.checked(BuildsQuery, {"page": forms.asked(call).get("page", "1")}).page
    query = BuildsQuery(environment_id=found["id"], page=page, size=ROWS, order="desc", sort_by=("id",))
    made = await deeds.listed(call, builds.list_builds, query)
    return render(
        call,
        "environment.html",
        title=f"{found['namespace']['name']}/{found['name']}",
        form=again.form,
        fault=again.fault,
        environment=found,
        namespace=found["namespace"]["name"],
        builds=made["data"],
        pager=pager(call, page, ROWS, made["count"]),
    )


async def confirm_delete(call: Call[Any, Any], again: Again) -> Response:
    """Asks once more."""
    found = await deeds.read(call, environments.show_environment)
    name = f"{found['namespace']['name']}/{found['name']}"
    return render(
        call,
        "confirm.html",
        title=f"Delete {name}?",
        fault=again.fault,
        what=f"The environment {name}",
        explained="With it go all that was built for it: directories, archives, the tags of its images.",
        button="Delete the environment",
        stay=_at(call),
    )


def _at(call: Call[Any, Any]) -> str:
    return ONE.format(namespace=call.text("namespace"), environment_name=call.text("environment_name"))


async def update_environment(call: Call[Any, Any], form: Form) -> Response:
    """Makes another completed build the current one."""
    body = forms.checked(EnvironmentBody, {"build_id": form.line("build_id")})
    await deeds.write(call, environments.update_environment, body=body)
    return back(call, _at(call), "switched")


async def delete_environment(call: Call[Any, Any], form: Form) -> Response:
    """Deletes the environment and what was built for it."""
    await deeds.write(call, environments.delete_environment)
    return back(call, LIST, "environment-deleted")
