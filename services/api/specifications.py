"""Specifications on their way in."""

from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

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
    """Asks for a build of an environment.yml, or of a lockfile exactly as it is; each time it is a new one."""
    body, settings = call.body, call.gateway.settings
    made = handlers.submit(
        session,
        call.caller,
        body.specification,
        namespace=body.namespace,
        name=body.environment_name,
        description=body.environment_description,
        platforms=settings.platforms,
        is_lockfile=bool(body.is_lockfile),
        labels=body.labels or {},
        deployment=call.gateway.deployment,
    )
    return {"build_id": made.build_id}
