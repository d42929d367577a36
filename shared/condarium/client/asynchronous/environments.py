"""Environments: names that point to builds."""

from collections.abc import AsyncIterator, Sequence

from condarium.client.asynchronous.connection import PAGE, AsyncConnection
from condarium.client.models.environments import Environment


class AsyncEnvironments(AsyncConnection):
    """Listed, shown, pointed, described, deleted."""

    async def environments(
        self,
        *,
        namespace: str | None = None,
        search: str | None = None,
        name: str | None = None,
        status: str | None = None,
        packages: Sequence[str] = (),
        artifact: Sequence[str] = (),
        label: Sequence[str] = (),
    ) -> AsyncIterator[Environment]:
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
        async for row in self._after(Environment, self._at("environment", version="v2"), query, limit=PAGE):
            yield row

    async def environment(self, namespace: str, name: str) -> Environment:
        """Raises NotThere."""
        return await self._ask(Environment, "GET", self._at("environment", namespace, name))

    async def activate(self, namespace: str, name: str, build_id: int) -> None:
        """Makes a completed build the current one: a rollback, or back again."""
        await self._say("PUT", self._at("environment", namespace, name), json={"build_id": build_id}, repeatable=True)

    async def describe(self, namespace: str, name: str, description: str) -> None:
        """Gives an environment another description."""
        content = {"description": description}
        await self._say("PUT", self._at("environment", namespace, name), json=content, repeatable=True)

    async def delete_environment(self, namespace: str, name: str) -> None:
        """Deletes it with all its builds."""
        await self._say("DELETE", self._at("environment", namespace, name))
