"""What images stand on: listed, and the default of a platform chosen. They come in by `services.packager.bases`."""

from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import base_images
from condarium.database.base_images import Stored
from condarium.domain.access import Action
from services.api import wire
from services.api.endpoint import Call, Gateway, quick
from services.api.replies.base_images import BaseImage

ALL = "/api/v1/base-image/"


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(gateway, ALL, list_base_images, returns=list[BaseImage], errors=(403,)),
        quick(
            gateway,
            f"{ALL}{{base_image_id}}/default/",
            choose_base_image,
            method="PUT",
            returns=BaseImage,
            errors=(403, 404),
        ),
    ]


def list_base_images(session: Session, call: Call[Any, Any]) -> Any:
    """The base images that are stored, by platform, the default ones first."""
    call.caller.require(Action.READ_SETTING)
    return [_row(each) for each in base_images.every(session)]


def choose_base_image(session: Session, call: Call[Any, Any]) -> Any:
    """Lets images of its platform stand on this base from the next build on; those that are there keep theirs."""
    call.caller.require(Action.UPDATE_SETTING)
    chosen = base_images.choose_default(session, call.number("base_image_id"))
    call.notes.update(platform=chosen.platform, digest=chosen.image.digest)
    return _row(chosen)


def _row(stored: Stored) -> dict[str, Any]:
    image = stored.image
    return {
        "id": stored.id,
        "platform": stored.platform,
        "name": stored.name,
        "is_default": stored.is_default,
        "source": image.source or None,
        "digest": image.digest or None,
        "layers": len(image.layers),
        "size": sum(layer.size for layer in image.layers),
        "created_on": wire.moment(stored.created_on),
        "created_by": stored.created_by,
    }
