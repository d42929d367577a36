"""Namespaces: made, described, given up; and the roles that they give to their own members."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ConfigDict
from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.database import namespace_pages, namespaces, roles
from condarium.database.tables import Namespace
from condarium.domain.access import Action, Binding, missing, parse_bindings
from condarium.errors import Conflict, InvalidInput, NotAuthorized
from condarium.http.caller import Caller
from services.api import lists, wire
from services.api.bodies import Model, PagingQuery, Text
from services.api.declaration import ACK, bare
from services.api.endpoint import Ack, Call, Gateway, quick, slow
from services.api.replies import environments as replies

ONE = "/api/v1/namespace/{namespace}/"
#: of a namespace's metadata, as JSON
LARGEST_METADATA_BYTES = 65_536


class NamespaceBody(Model):
    """What is null or left out stays. `role_mappings` replaces all: {ARN: [roles]}."""

    metadata: dict[str, Any] | None = None
    role_mappings: dict[Text, list[Text]] | None = None


class MetadataBody(Model):
    """The metadata itself: any object."""

    model_config = ConfigDict(frozen=True, extra="allow")


def routes(gateway: Gateway) -> list[Route]:
    listed = bare(replies.NamespacePage)
    return [
        slow(gateway, "/api/v1/namespace/", list_namespaces, query=PagingQuery, returns=listed),
        quick(gateway, ONE, show_namespace, returns=replies.Namespace, errors=(403,)),
        quick(gateway, ONE, create_namespace, method="POST", returns=ACK, errors=(400, 403, 409)),
        quick(gateway, ONE, update_namespace, method="PUT", body=NamespaceBody, returns=ACK, errors=(403,)),
        quick(gateway, ONE, delete_namespace, method="DELETE", returns=ACK, errors=(403,)),
        quick(gateway, f"{ONE}metadata", update_metadata, method="PUT", body=MetadataBody, returns=ACK, errors=(403,)),
    ]


async def list_namespaces(call: Call[PagingQuery, Any]) -> Response:
    """The namespaces of which the caller sees anything."""
    shown = call.caller.visible(Action.READ_NAMESPACE)
    paging = call.query.paging()
    found = await namespace_pages.page(call.gateway.reads, shown=shown, paging=paging, shape=wire.NAMESPACE)
    # This one list has no `message` in conda-store.
    return lists.paged(found, paging, message=False)


def show_namespace(session: Session, call: Call[Model, Any]) -> Any:
    """One namespace; its role mappings only to those who may see all of it."""
    name = call.text("namespace")
    call.caller.require(Action.READ_NAMESPACE, name)
    found = namespaces.load(session, name)
    mappings = roles.mappings(session, found) if call.caller.may(Action.READ_ROLE_MAPPING, name) else ()
    return {
        "id": found.id,
        "name": found.name,
        "metadata_": found.metadata_,
        "role_mappings": [wire.role_mapping(row) for row in mappings],
    }


def create_namespace(session: Session, call: Call[Model, Any]) -> Any:
    """A new namespace. Submitting into one that is not there makes it, too."""
    name = call.text("namespace")
    call.caller.require(Action.CREATE_NAMESPACE, name)
    if not namespaces.create(session, name, actor=call.caller.name):
        raise Conflict("namespace already exists")
    return Ack()


def update_namespace(session: Session, call: Call[Model, NamespaceBody]) -> Any:
    """Metadata and role mappings; all mappings are replaced by those that are given.

    A mapping gives a role on what its ARN holds to those whose primary namespace this is. Nobody can give more than
    they have themselves.
    """
    name, body = call.text("namespace"), call.body
    call.caller.require(Action.UPDATE_NAMESPACE, name)
    if body.role_mappings is not None:
        call.caller.require(Action.CREATE_ROLE_MAPPING, name)
        call.caller.require(Action.DELETE_ROLE_MAPPING, name)
    found = namespaces.load(session, name, lock=True)
    if body.metadata is not None:
        found.metadata_ = checked_metadata(body.metadata)
    if body.role_mappings is not None:
        wanted = parse_bindings(body.role_mappings)
        _require_giving(session, call.caller, found, wanted)
        roles.replace_mappings(session, found, wanted, actor=call.caller.name)
    return Ack()


def _require_giving(session: Session, caller: Caller, namespace: Namespace, wanted: tuple[Binding, ...]) -> None:
    """Raises NotAuthorized, with the mapping, for more than the caller has; what is there already may stay."""
    known = set(roles.as_bindings(roles.mappings(session, namespace)))
    excess = missing(caller.principal.bindings, (each for each in wanted if each not in known))
    if excess:
        more = ", ".join(f"{each.role.value} on {each.arn}" for each in excess[:5])
        raise NotAuthorized(f"you cannot give what you do not have yourself: {more}")


def update_metadata(session: Session, call: Call[Model, MetadataBody]) -> Any:
    """Replaces the metadata by the object that the body is."""
    name = call.text("namespace")
    call.caller.require(Action.UPDATE_NAMESPACE, name)
    found = namespaces.load(session, name, lock=True)
    found.metadata_ = checked_metadata(call.body.model_extra or {})
    return Ack()


def checked_metadata(content: dict[str, Any]) -> dict[str, Any]:
    """What the database can hold as it is. Raises InvalidInput."""
    try:
        text = json.dumps(content, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (ValueError, RecursionError):
        raise InvalidInput("metadata: numbers must be finite, and text must be Unicode") from None
    if size > LARGEST_METADATA_BYTES:
        raise InvalidInput(f"metadata: {size} bytes are too many; at most {LARGEST_METADATA_BYTES} are kept")
    if any("\0" in each for each in _texts(content)):
        raise InvalidInput("metadata: text must not hold the character U+0000")
    return content


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield from content
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _texts(each)


def delete_namespace(session: Session, call: Call[Model, Any]) -> Any:
    """The namespace with all its environments; what lies on disk and in storage goes afterwards."""
    name = call.text("namespace")
    call.caller.require(Action.DELETE_NAMESPACE, name)
    namespaces.delete(session, namespaces.load(session, name, lock=True), actor=call.caller.name)
    return Ack()
