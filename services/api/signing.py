"""Signing keys and bills of materials: what is needed to check an image, and to look into it without pulling it."""

from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import builds, referrer_sets, signing_keys
from condarium.database.tables import SigningKey
from condarium.domain import referrers as media
from condarium.domain.access import Action
from condarium.domain.referrers.bill import bill_of
from condarium.domain.referrers.cyclonedx import render_cyclonedx
from condarium.domain.referrers.spdx import render_spdx
from condarium.errors import InvalidInput, NotFound
from services.api import handlers, wire
from services.api.bodies import Model, Text
from services.api.credentials import vault
from services.api.declaration import Reply, data, text
from services.api.endpoint import Call, Done, Gateway, quick
from services.api.replies.signing import AskedSignatures
from services.api.replies.signing import SigningKey as Shown

KEYS = "/api/v1/signing-keys/"
SBOM = "/api/v1/build/{build_id}/sbom/"

_WRITERS = {"spdx": (render_spdx, media.SPDX), "cyclonedx": (render_cyclonedx, media.CYCLONEDX)}


class SbomQuery(Model):
    """`platform` is all of them by default, as for the image's index."""

    format: Literal["spdx", "cyclonedx"] = "spdx"
    platform: Annotated[Text, Field(max_length=64)] = ""


def routes(gateway: Gateway) -> list[Route]:
    return [
        quick(gateway, KEYS, list_signing_keys, returns=list[Shown]),
        quick(gateway, f"{KEYS}pem/", show_public_key, returns=text("application/x-pem-file"), errors=(404,)),
        quick(gateway, KEYS, rotate_signing_key, method="POST", returns=Shown, errors=(403,)),
        quick(
            gateway,
            f"{KEYS}sign/",
            sign_again,
            method="POST",
            returns=data(AskedSignatures, "How many builds are to be signed", example={"builds": 3}),
            errors=(403,),
        ),
        quick(
            gateway,
            SBOM,
            show_sbom,
            query=SbomQuery,
            returns=(
                Reply(media_type=media.SPDX, model=dict[str, Any]),
                Reply(media_type=media.CYCLONEDX, model=dict[str, Any]),
            ),
            errors=(400, 403),
        ),
    ]


def list_signing_keys(session: Session, call: Call[Model, Any]) -> Any:
    """The public keys that images are signed with, the present one first. Everybody may have them."""
    return [_row(row) for row in signing_keys.every(session)]


def show_public_key(session: Session, call: Call[Model, Any]) -> Any:
    """The present public key, for `cosign verify --key`."""
    found = signing_keys.every(session)
    if not found:
        raise NotFound("no image was signed yet, so there is no key")
    return Response(found[0].public_key, media_type="application/x-pem-file")


def rotate_signing_key(session: Session, call: Call[Model, Any]) -> Any:
    """A new key signs from now on. The one before stays listed, and what it has signed stays as it is."""
    call.caller.require(Action.OPERATE)
    row = signing_keys.rotate(session, vault(call.gateway), actor=call.caller.name)
    call.notes.update(fingerprint=row.fingerprint)
    return Done(_row(row), "images are signed with the new key from now on; ask for signing to sign the others, too")


def sign_again(session: Session, call: Call[Model, Any]) -> Any:
    """Signs the images of all builds that were signed by another key than the present one; old signatures stay."""
    call.caller.require(Action.OPERATE)
    row = signing_keys.ensure(session, vault(call.gateway), actor=call.caller.name)
    count = referrer_sets.request_again(session, row.fingerprint)
    call.notes.update(builds=count)
    return Done({"builds": count}, "they are signed in the background")


def show_sbom(session: Session, call: Call[SbomQuery, Any]) -> Any:
    """The bill of materials of a build's image, as SPDX 2.3 or CycloneDX 1.6: a function of its locks alone."""
    build = handlers.find_build(session, call.caller, call.number("build_id"))
    locks = builds.locks(session, build.id)
    if not locks:
        raise InvalidInput(f"build {build.id} has no lock: it is {build.status}")
    platform = call.query.platform
    if platform and platform not in locks:
        raise InvalidInput(f"build {build.id} is not for {platform[:64]!r}; it is for {', '.join(sorted(locks))}")
    write, media_type = _WRITERS[call.query.format]
    body = write(bill_of([locks[platform]] if platform else list(locks.values())))
    return Response(body, media_type=media_type)


def _row(row: SigningKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "fingerprint": row.fingerprint,
        "state": row.state,
        "algorithm": "ecdsa-p256-sha256",
        "public_key": row.public_key,
        "created_on": wire.moment(row.created_on),
        "created_by": row.created_by,
        "retired_on": wire.moment(row.retired_on),
        "retired_by": row.retired_by,
    }
