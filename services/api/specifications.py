"""Specifications on their way in."""

from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.errors import InvalidInput
from services.api import handlers
from services.api.bodies import Model, SpecificationBody
from services.api.declaration import data
from services.api.endpoint import Call, Gateway, quick
from services.api.replies.builds import Submitted


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(
            gateway,
            "/api/v1/specification/",
            submit,
            method="POST",
            body=SpecificationBody,
            returns=data(Submitted, "The build that was queued", example={"build_id": 1}),
            errors=(403, 409),
        )
    ]


def submit(session: Session, call: Call[Model, SpecificationBody]) -> Any:
    """Asks for a build of an environment.yml; each time it is a new one."""
    body, settings = call.body, call.gateway.settings
    if body.is_lockfile:
        raise InvalidInput(
            "is_lockfile: this release builds from environment.yml files; lockfiles are not taken in yet"
        )
    made = handlers.submit(
        session,
        call.caller,
        body.specification,
        namespace=body.namespace,
        name=body.environment_name,
        description=body.environment_description,
        platforms=settings.platforms,
    )
    return {"build_id": made.build_id}
