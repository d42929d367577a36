# Made of `asynchronous` by `make client`: edit that.
"""Environments: names that point to builds."""

from collections.abc import Iterator, Sequence

from condarium.client.models.environments import Environment
from condarium.client.synchronous.connection import PAGE, Connection


class Environments(Connection):
    """Listed, shown, pointed, described, deleted."""

    def environments(
        self,
        *,
        namespace: str | None = None,
        search: str | None = None,
        name: str | None = None,
        status: str | None = None,
        packages: Sequence[str] = (),
        artifact: Sequence[str] = (),
        label: Sequence[str] = (),
    ) -> Iterator[Environment]:
        """The environments that one may see, by namespace and name.

        `search` is a part of a name; `status`, `packages`, `artifact` and `label` (`key=value`, or a key) are of the
        current build.
        """
        query = {
            "namespace": namespace,
            "search": search,
            "name": name,
            "status": status,
            "packages": list(packages),
            "artifact": list(artifact),
            "label": list(label),
            "sort_by": "namespace,name",
        }
        for row in self._after(Environment, self._at("environment", version="v2"), query, limit=PAGE):
            yield row

    def environment(self, namespace: str, name: str) -> Environment:
        """Raises NotThere."""
        return self._ask(Environment, "GET", self._at("environment", namespace, name))

    def activate(self, namespace: str, name: str, build_id: int) -> None:
        """Makes a completed build the current one: a rollback, or back again."""
        self._say("PUT", self._at("environment", namespace, name), json={"build_id": build_id}, repeatable=True)

    def describe(self, namespace: str, name: str, description: str) -> None:
        """Gives an environment another description."""
        content = {"description": description}
        self._say("PUT", self._at("environment", namespace, name), json=content, repeatable=True)

    def delete_environment(self, namespace: str, name: str) -> None:
        """Deletes it with all its builds."""
        self._say("DELETE", self._at("environment", namespace, name))
