"""Builds: what is shown of them, and what people do to them."""

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import build_pages, channels, listing_builds, listing_packages
from services.api import handlers, lists, wire
from services.api.bodies import BuildsQuery, LabelsBody, Model, PackagesQuery
from services.api.declaration import ACK, page
from services.api.endpoint import Ack, Call, Done, Gateway, quick, slow
from services.api.replies import builds as replies

ONE = "/api/v1/build/{build_id}/"


def routes(gateway: Gateway) -> list[Route]:
    return [
        slow(gateway, "/api/v1/build/", list_builds, query=BuildsQuery, returns=page(replies.BuildRow), errors=(400,)),
        quick(gateway, ONE, show_build, returns=replies.Build, errors=(403,)),
        quick(gateway, ONE, build_again, method="PUT", returns=replies.Submitted, errors=(400, 403, 409)),
        quick(gateway, ONE, delete_build, method="DELETE", returns=ACK, errors=(400, 403)),
        quick(gateway, f"{ONE}cancel/", cancel_build, method="PUT", returns=ACK, errors=(403, 409)),
        quick(
            gateway,
            f"{ONE}labels/",
            label_build,
            method="PUT",
            body=LabelsBody,
            returns=ACK,
            errors=(403,),
        ),
        quick(gateway, f"{ONE}retry/", retry_build, method="PUT", returns=ACK, errors=(400, 403, 409)),
        quick(
            gateway,
            f"{ONE}packages/",
            list_packages,
            query=PackagesQuery,
            returns=page(replies.BuildPackage),
            errors=(403,),
        ),
    ]


async def list_builds(call: Call[BuildsQuery, Any]) -> Response:
    """Builds that the caller sees, deleted ones too."""
    paging = call.query.paging()
    found = await build_pages.page(
        call.gateway.reads, call.query.wanted(), shown=call.caller.visible(), paging=paging, shape=wire.BUILD
    )
    return lists.paged(found, paging)


def show_build(session: Session, call: Call[Model, Any]) -> Any:
    """One build, with its specification and what is made of it."""
    row = handlers.find_build(session, call.caller, call.number("build_id"))
    return wire.build_detail(listing_builds.detail(session, row))


def build_again(session: Session, call: Call[Model, Any]) -> Any:
    """A new build of the same specification."""
    made = handlers.build_again(session, call.caller, call.number("build_id"), deployment=call.gateway.deployment)
    return Done({"build_id": made.build_id}, "rebuild triggered")


def cancel_build(session: Session, call: Call[Model, Any]) -> Any:
    """Ends a build that has not ended."""
    build_id = call.number("build_id")
    handlers.cancel_build(session, call.caller, build_id)
    return Ack(f"build {build_id} canceled")


def label_build(session: Session, call: Call[Model, LabelsBody]) -> Any:
    """Gives a build these labels and no others; `key-value` is a tag of its image."""
    build_id = call.number("build_id")
    handlers.label_build(session, call.caller, build_id, call.body.labels)
    call.notes["labels"] = call.body.labels
    return Ack(f"build {build_id} labelled")


def retry_build(session: Session, call: Call[Model, Any]) -> Any:
    """Another try of a failed or canceled build, under its own number."""
    build_id = call.number("build_id")
    handlers.retry_build(session, call.caller, build_id, deployment=call.gateway.deployment)
    return Ack(f"build {build_id} queued again")


def delete_build(session: Session, call: Call[Model, Any]) -> Any:
    """Deletes a build that has completed or failed."""
    handlers.delete_build(session, call.caller, call.number("build_id"))
    return Ack()


def list_packages(session: Session, call: Call[PackagesQuery, Any]) -> Any:
    """The packages in the lock of a build."""
    row = handlers.find_build(session, call.caller, call.number("build_id"))
    found = listing_packages.page(session, row.id, call.query.wanted(), paging=call.query.paging())
    updated = channels.updated(session, {each.channel for each in found.rows})
    return replace(found, rows=[wire.build_package(each, updated) for each in found.rows])
