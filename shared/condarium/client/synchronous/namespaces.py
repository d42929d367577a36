# Made of `asynchronous` by `make client`: edit that.
"""Namespaces, and the roles that they give."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from condarium.client.models.environments import Namespace, NamespaceRole, NamespaceRow
from condarium.client.synchronous.connection import Connection


class Namespaces(Connection):
    """A namespace's own members have roles by its mappings, those of another one by its roles."""

    def namespaces(self) -> Iterator[NamespaceRow]:
        """The namespaces of which one sees anything."""
        for row in self._pages(NamespaceRow, self._at("namespace"), {}):
            yield row

    def namespace(self, name: str) -> Namespace:
        """Its role mappings only for those who may see all of it. Raises NotThere."""
        return self._ask(Namespace, "GET", self._at("namespace", name))

    def create_namespace(self, name: str) -> None:
        """Raises Conflicting when it is there."""
        self._say("POST", self._at("namespace", name))

    def update_namespace(
        self,
        name: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        role_mappings: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """What is None stays. `role_mappings` (`{ARN: [roles]}`) replaces all of them."""
        content: dict[str, Any] = {}
        if metadata is not None:
            content["metadata"] = dict(metadata)
        if role_mappings is not None:
            content["role_mappings"] = {arn: list(roles) for arn, roles in role_mappings.items()}
        self._say("PUT", self._at("namespace", name), json=content, repeatable=True)

    def delete_namespace(self, name: str) -> None:
        """Deletes it with all its environments."""
        self._say("DELETE", self._at("namespace", name))

    def roles(self, namespace: str) -> list[NamespaceRole]:
        """To whose members this namespace gives roles."""
        return self._ask(list[NamespaceRole], "GET", self._at("namespace", namespace, "roles", end=""))

    def role(self, namespace: str, other: str) -> NamespaceRole:
        """The role that `namespace` gives to the members of `other`. Raises NotThere."""
        path = self._at("namespace", namespace, "role", end="")
        return self._ask(NamespaceRole, "GET", path, params={"other_namespace": other})

    def give_role(self, namespace: str, other: str, role: str) -> None:
        """`role` is viewer, developer or admin. Raises Conflicting when they have one."""
        content = {"other_namespace": other, "role": role}
        self._say("POST", self._at("namespace", namespace, "role", end=""), json=content)

    def change_role(self, namespace: str, other: str, role: str) -> None:
        """Another role instead of the one that was given. Raises NotThere."""
        content = {"other_namespace": other, "role": role}
        self._say("PUT", self._at("namespace", namespace, "role", end=""), json=content, repeatable=True)

    def take_role(self, namespace: str, other: str) -> None:
        """Takes a role back; where there is none, nothing is done."""
        path = self._at("namespace", namespace, "role", end="")
        self._say("DELETE", path, json={"other_namespace": other}, repeatable=True)

    def take_roles(self, namespace: str) -> None:
        """Takes all of them back."""
        self._say("DELETE", self._at("namespace", namespace, "roles", end=""), repeatable=True)
