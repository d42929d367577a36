"""Of the installation and the caller: version, permissions, usage, what operators ask."""

from typing import Annotated, Literal

from pydantic import Field

from services.api.replies.envelopes import Shown


class OwnVersion(Shown):
    version: str


class Version(Shown):
    """`version` is the release of conda-store whose contract this is."""

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
    #: the one time that conda-store sends with its `Z`
    expiration: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$")] | None
    condarium: Whoever


class Alive(Shown):
    status: Literal["alive"]


class Readiness(Shown):
    """`away` names the parts that do not answer, each with the reason."""

    status: Literal["ready", "not-ready"]
    away: dict[str, str]
