"""Credentials of channels, package indexes and base registries: set and deleted, listed without what they hold."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import credentials, namespaces
from condarium.database.tables import Credential, Namespace
from condarium.domain.access import Action
from condarium.domain.credential import MAX_URL, MAX_VALUE, Kind, check_url, check_values
from condarium.domain.credentials import show
from condarium.domain.sealing import Vault
from condarium.errors import InvalidInput
from services.api import wire
from services.api.bodies import Model, WithoutNul
from services.api.declaration import ACK
from services.api.endpoint import Ack, Call, Gateway, quick
from services.api.replies.credentials import Credential as Shown

ALL = "/api/v1/credential/"
#: on GET a namespace, on PUT and DELETE a credential of the deployment
ONE = f"{ALL}{{subject}}/"
ONE_OF_NAMESPACE = f"{ALL}{{namespace}}/{{credential}}/"
_ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

_Value = Annotated[str, Field(max_length=MAX_VALUE), WithoutNul]


class CredentialBody(Model):
    """`url` is the prefix of what it opens. Kinds that end in `basic` hold `username` and `password`, all others a
    `token`."""

    #: a fault in it is told without what was sent
    secretive: ClassVar[bool] = True

    kind: Kind
    url: Annotated[str, Field(max_length=2 * MAX_URL), WithoutNul]
    username: _Value | None = None
    password: _Value | None = None
    token: _Value | None = None


def routes(gateway: Gateway) -> list[Route]:
    put = {"method": "PUT", "body": CredentialBody, "returns": Shown, "errors": (403, 404, 409)}
    delete = {"method": "DELETE", "returns": ACK, "errors": (403, 404)}
    return [
        quick(gateway, ALL, list_credentials, returns=list[Shown], errors=(403,)),
        quick(gateway, ONE, list_of_namespace, returns=list[Shown], errors=(403, 404)),
        quick(gateway, ONE, put_credential, **put),  # type: ignore[arg-type]
        quick(gateway, ONE_OF_NAMESPACE, put_credential, **put),  # type: ignore[arg-type]
        quick(gateway, ONE, delete_credential, **delete),  # type: ignore[arg-type]
        quick(gateway, ONE_OF_NAMESPACE, delete_credential, **delete),  # type: ignore[arg-type]
    ]


def list_credentials(session: Session, call: Call[Model, Any]) -> Any:
    """The credentials that the caller administers, those of the deployment among them. Never what they hold."""
    caller = call.caller
    deployment = caller.may(Action.READ_CREDENTIAL)
    rows = session.execute(select(Namespace).where(Namespace.deleted_on.is_(None))).scalars()
    mine = [each for each in rows if caller.may(Action.READ_CREDENTIAL, each.name)]
    if not mine:
        caller.require(Action.READ_CREDENTIAL)
    return _shown(call, credentials.every(session, mine, deployment=deployment))


def list_of_namespace(session: Session, call: Call[Model, Any]) -> Any:
    """The credentials of one namespace. Never what they hold."""
    name = call.text("subject")
    call.caller.require(Action.READ_CREDENTIAL, name)
    return _shown(call, credentials.every(session, [namespaces.load(session, name)], deployment=False))


def put_credential(session: Session, call: Call[Model, CredentialBody]) -> Any:
    """Sets a credential; it holds from the next build on. What it holds can never be read again.

    Of several that fit a URL the longest prefix is used, and of two with the same prefix that of the namespace.
    """
    namespace = _namespace(session, call)
    name, body = _checked_name(_name(call)), call.body
    values = {"username": body.username, "password": body.password, "token": body.token}
    kept = check_values(body.kind, values)
    url = check_url(body.url)
    row = credentials.put(
        session,
        vault(call.gateway),
        namespace=namespace,
        name=name,
        kind=body.kind,
        url=url,
        values=kept,
        actor=call.caller.name,
    )
    call.notes.update(kind=body.kind.value, url=url)
    return _row(call, row, namespace.name if namespace else "")


def delete_credential(session: Session, call: Call[Model, Any]) -> Any:
    """Deletes a credential. Builds that run go on with it."""
    namespace = _namespace(session, call)
    gone = credentials.drop(session, namespace=namespace, name=_name(call))
    call.notes.update(kind=gone.kind, url=gone.url)
    return Ack()


def vault(gateway: Gateway) -> Vault:
    return Vault(gateway.settings.secret, gateway.settings.secret_previous)


def _namespace(session: Session, call: Call[Any, Any]) -> Namespace | None:
    """Of the path; None for the deployment. Raises NotAuthorized, NotFound."""
    name = str(call.request.path_params.get("namespace", ""))
    call.caller.require(Action.UPDATE_CREDENTIAL, name)
    return namespaces.load(session, name) if name else None


def _name(call: Call[Any, Any]) -> str:
    parts = call.request.path_params
    return str(parts.get("credential", parts.get("subject", "")))


def _checked_name(name: str) -> str:
    if not _ALLOWED.match(name):
        raise InvalidInput(
            f"{show(name)} cannot name a credential: allowed are 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or "
            "digit"
        )
    return name


def _shown(call: Call[Any, Any], rows: list[tuple[Credential, str]]) -> list[dict[str, Any]]:
    return [_row(call, row, owner) for row, owner in rows]


def _row(call: Call[Any, Any], row: Credential, owner: str) -> dict[str, Any]:
    return {
        "name": row.name,
        "namespace": owner or None,
        "kind": row.kind,
        "use": row.use,
        "url": row.url,
        "readable": vault(call.gateway).knows(row.key_id),
        "created_on": wire.moment(row.created_on),
        "created_by": row.created_by,
        "updated_on": wire.moment(row.updated_on),
        "updated_by": row.updated_by,
    }
