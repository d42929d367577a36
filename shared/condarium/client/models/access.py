"""Who may what: permissions and tokens; and the installation's version."""

from typing import Annotated, Literal

from pydantic import PlainSerializer

from condarium.client.models.shown import Moment, Shown

#: the one moment that is written with its zone
ZonedMoment = Annotated[
    Moment, PlainSerializer(lambda value: value.isoformat(timespec="microseconds").replace("+00:00", "Z"))
]


class OwnVersion(Shown):
    version: str


class Version(Shown):
    """`version` is the release of conda-store whose contract is spoken, `condarium.version` the server's own."""

    version: str
    condarium: OwnVersion


class Whoever(Shown):
    name: str


class Permission(Shown):
    """What the caller may do; keys are ARNs: `namespace/environment` with `*`. `condarium.name` is who that is."""

    authenticated: bool
    primary_namespace: str
    entity_permissions: dict[str, list[str]]
    entity_roles: dict[str, list[str]]
    expiration: ZonedMoment | None
    condarium: Whoever


class TokenRow(Shown):
    """A token or a login that was handed out; its text is not kept."""

    id: int
    name: str
    kind: Literal["token", "session"]
    owner: str
    primary_namespace: str
    role_bindings: dict[str, list[str]]
    state: Literal["good", "expired", "revoked"]
    created_on: Moment
    expires_on: Moment
    last_used_on: Moment | None
    revoked_on: Moment | None
    revoked_by: str | None
    current: bool


class UserRow(Shown):
    """Somebody who has logged in; `role_bindings` are what the last login gave."""

    id: int
    name: str
    provider: str
    primary_namespace: str
    role_bindings: dict[str, list[str]]
    created_on: Moment
    last_login_on: Moment | None
    disabled_on: Moment | None


class OwnPart(Shown):
    id: int
    name: str
    expires_on: Moment


class NewToken(Shown):
    """The text is shown this once."""

    token: str
    condarium: OwnPart


class Readiness(Shown):
    """`away` names the parts that do not answer, each with the reason."""

    status: Literal["ready", "not-ready"]
    away: dict[str, str]
