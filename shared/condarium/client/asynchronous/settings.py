"""Settings by level, usage and quotas, credentials."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.models.settings import BaseImage, Change, Credential, Origin, Quota, Usage

#: changes of settings read at a time
HISTORY = 100


class AsyncSettings(AsyncConnection):
    """Without a namespace the global level is meant, without an environment the namespace's."""

    async def settings(self, namespace: str = "", environment: str = "") -> dict[str, Any]:
        """What holds: every key, with the value of the nearest level that has one."""
        return await self._ask(dict[str, Any], "GET", self._at("setting", namespace, environment))

    async def change_settings(self, values: Mapping[str, Any], namespace: str = "", environment: str = "") -> str:
        """Sets keys at this level; None takes a value back. Returns the server's sentence.

        Raises Wrong with the key and what is allowed.
        """
        path = self._at("setting", namespace, environment)
        return await self._say("PUT", path, json=dict(values), repeatable=True)

    async def setting_origins(self, namespace: str = "", environment: str = "") -> list[Origin]:
        """What holds, key by key: from which level, since when and by whom, and what it does."""
        return await self._ask(list[Origin], "GET", self._at("setting-origin", namespace, environment))

    async def setting_history(self, namespace: str = "", environment: str = "") -> AsyncIterator[Change]:
        """Every change made at exactly this level, the newest first."""
        path = self._at("setting-history", namespace, environment)
        before: dict[str, int] = {}
        while True:
            found = await self._ask(list[Change], "GET", path, params={"limit": HISTORY, **before})
            for change in found:
                yield change
            if len(found) < HISTORY:
                return
            before = {"before": found[-1].id}

    async def usage(self) -> dict[str, Usage]:
        """What each namespace that one sees uses, and what is left of its quota."""
        return await self._ask(dict[str, Usage], "GET", self._at("usage"))

    async def quota(self, namespace: str) -> Quota:
        """The limits of a namespace; None is no limit."""
        return await self._ask(Quota, "GET", self._at("namespace", namespace, "quota", end=""))

    async def change_quota(self, namespace: str, limits: Mapping[str, int | None]) -> None:
        """`limits` of builds, bytes, concurrent_builds: what is not named stays, None is the installation's own."""
        await self._say("PUT", self._at("namespace", namespace, "quota", end=""), json=dict(limits), repeatable=True)

    async def credentials(self, namespace: str = "") -> list[Credential]:
        """Those that one administers, or of one namespace; never what they hold."""
        return await self._ask(list[Credential], "GET", self._at("credential", namespace))

    async def put_credential(self, name: str, *, kind: str, url: str, namespace: str = "", **values: str) -> Credential:
        """Sets a credential for what `url` is the prefix of: `username` and `password`, or `token`, as its kind has
        it. Without a namespace it is the deployment's. It can never be read again.
        """
        content = {"kind": kind, "url": url, **values}
        path = self._at("credential", namespace, name)
        return await self._ask(Credential, "PUT", path, json=content, repeatable=True)

    async def delete_credential(self, name: str, *, namespace: str = "") -> None:
        """Builds that run go on with it. Raises NotThere."""
        await self._say("DELETE", self._at("credential", namespace, name))

    async def base_images(self) -> list[BaseImage]:
        """What images can stand on, by platform, the default ones first."""
        return await self._ask(list[BaseImage], "GET", self._at("base-image"))

    async def choose_base_image(self, base_image: int) -> BaseImage:
        """Images of its platform stand on it from the next build on. Raises NotThere."""
        path = self._at("base-image", base_image, "default")
        return await self._ask(BaseImage, "PUT", path, repeatable=True)
