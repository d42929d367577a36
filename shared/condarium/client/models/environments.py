"""Namespaces, their roles, and environments."""

from typing import Any

from condarium.client.models.shown import Shown


class RoleMapping(Shown):
    """`entity` is an ARN: `namespace/environment` with `*`."""

    id: int
    entity: str
    role: str


class Namespace(Shown):
    id: int
    name: str
    metadata_: dict[str, Any]
    role_mappings: list[RoleMapping]


class NamespaceRow(Shown):
    """A namespace as lists have it."""

    id: int
    name: str


class NamespaceRole(Shown):
    """`other_namespace` is whose members have the role."""

    id: int
    namespace: str
    other_namespace: str
    role: str


class Environment(Shown):
    """A name that points to a build."""

    id: int
    namespace: Namespace
    name: str
    current_build_id: int | None
    description: str
