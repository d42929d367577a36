"""Builds: the list, one with its live log, and what is done to it."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.build import FINAL, Status
from condarium.http.faults import Unprocessable
from services.api import builds
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import pager, render
from services.api.bodies import BuildsQuery
from services.api.endpoint import Call, Gateway

LIST, ONE = "/admin/builds/", "/admin/builds/{build_id}/"
ROWS = 25


def routes(gateway: Gateway) -> list[Route]:
    return [
        shown(gateway, LIST, show_builds),
        shown(gateway, ONE, show_build),
        shown(gateway, f"{ONE}cancel/", confirm_cancel),
        written(gateway, f"{ONE}cancel/", cancel_build, confirm_cancel),
        shown(gateway, f"{ONE}delete/", confirm_delete),
        written(gateway, f"{ONE}delete/", delete_build, confirm_delete),
        written(gateway, f"{ONE}retry/", retry_build, show_build),
        written(gateway, f"{ONE}rebuild/", build_again, show_build),
    ]


async def show_builds(call: Call[Any, Any], again: Again) -> Response:
    """The builds that one may see, the newest first."""
    form, fault, found, page = forms.asked(call), None, None, 1
    try:
        asked = {"status": form.line("status"), "namespace": form.line("namespace"), "name": form.line("name")}
        query = forms.checked(
            BuildsQuery,
            {**asked, "page": form.get("page", "1"), "size": ROWS, "order": "desc", "sort_by": ("id",)},
        )
        found, page = await deeds.listed(call, builds.list_builds, query), query.page
    except Unprocessable as error:
        fault = forms.fault_of(error)
    return render(
        call,
        "builds.html",
        title="Builds",
        form=form,
        fault=fault,
        builds=found["data"] if found else [],
        pager=pager(call, page, ROWS, found["count"]) if found else None,
        statuses=[each.value for each in Status],
    )


async def show_build(call: Call[Any, Any], again: Again) -> Response:
    """One build: how it stands, what was made of it, its log as it is written."""
    found = await deeds.read(call, builds.show_build)
    return render(
        call,
        "build.html",
        title=f"Build {found['id']}",
        form=again.form,
        fault=again.fault,
        build=found,
        ended=found["status"] in FINAL,
        can_be_deleted=found["status"] in (Status.COMPLETED, Status.FAILED) and not found["condarium"]["deleted_on"],
        can_be_retried=found["status"] in (Status.FAILED, Status.CANCELED),
    )


def _confirm(words: str, button: str, explained: str) -> Callable[[Call[Any, Any], Again], Any]:
    async def confirm(call: Call[Any, Any], again: Again) -> Response:
        """Asks once more."""
        found = await deeds.read(call, builds.show_build)
        extras = found["condarium"]
        return render(
            call,
            "confirm.html",
            title=f"{words} build {found['id']}?",
            fault=again.fault,
            what=f"Build {found['id']} of {extras['namespace']}/{extras['environment']}, {found['status']}",
            explained=explained,
            button=button,
            stay=ONE.format(build_id=found["id"]),
        )

    return confirm


confirm_cancel = _confirm(
    "Cancel", "Cancel the build", "What is done so far is given up. It can be tried again afterwards."
)
confirm_delete = _confirm(
    "Delete",
    "Delete the build",
    "Its files go when the store is cleared up. An environment that points to it points nowhere then.",
)


def _at(call: Call[Any, Any]) -> str:
    return ONE.format(build_id=call.number("build_id"))


async def cancel_build(call: Call[Any, Any], form: Form) -> Response:
    """Ends a build that has not ended."""
    await deeds.write(call, builds.cancel_build)
    return back(call, _at(call), "canceling")


async def delete_build(call: Call[Any, Any], form: Form) -> Response:
    """Deletes a build that has completed or failed."""
    await deeds.write(call, builds.delete_build)
    return back(call, LIST, "build-deleted")


async def retry_build(call: Call[Any, Any], form: Form) -> Response:
    """Another try under the same number."""
    await deeds.write(call, builds.retry_build)
    return back(call, _at(call), "retried")


async def build_again(call: Call[Any, Any], form: Form) -> Response:
    """A new build of the same specification."""
    made = await deeds.write(call, builds.build_again)
    return back(call, ONE.format(build_id=made.data["build_id"]), "rebuilt")
