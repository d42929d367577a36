"""Namespaces and environments, as they are shown."""

from typing import Annotated, Any, Literal

from pydantic import Field

from services.api.replies.envelopes import Shown


class RoleMapping(Shown):
    id: int
    entity: str
    role: str


class Namespace(Shown):
    id: int
    name: str
    metadata_: dict[str, Any]
    role_mappings: list[RoleMapping]


class NamespaceRole(Shown):
    """`other_namespace` is whose members have the role."""

    id: int
    namespace: str
    other_namespace: str
    role: Literal["viewer", "developer", "admin"]


class NamespaceRow(Shown):
    id: int
    name: str


class NamespacePage(Shown):
    """This one list has no `message` in conda-store."""

    status: Literal["ok"]
    data: list[NamespaceRow]
    page: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=0)]


class EnvironmentV2(Shown):
    id: int
    namespace: Namespace
    name: str
    current_build_id: int | None
    description: str


class Environment(EnvironmentV2):
    """As v1 has it."""

    current_build: None


class EnvironmentsAfter(Shown):
    """A page by cursor; that of an empty page means the start."""

    data: list[EnvironmentV2]
    status: Literal["ok"]
    message: None
    cursor: str
    count: Annotated[int, Field(ge=0)]
