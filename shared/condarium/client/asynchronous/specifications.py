"""Specifications on their way in, and what would become of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.models.solves import SolveAnswer, SolvedPackage

#: a server that waits for its solver says so itself before this
SOLVE_SECONDS = 630.0


class AsyncSpecifications(AsyncConnection):
    """Submissions and solves."""

    async def submit(
        self,
        specification: str,
        *,
        namespace: str | None = None,
        name: str | None = None,
        description: str | None = None,
        is_lockfile: bool = False,
        labels: Mapping[str, str] | None = None,
    ) -> int:
        """Asks for a build of an environment.yml, given as text, or of a lockfile exactly as it is; the build's id.

        `name` and `description` stand where the file has none; without a namespace it is one's own. `labels` become
        tags of the image.

        Raises Wrong with what is wrong in the file, Refused also for a quota.
        """
        body = {
            "specification": specification,
            "namespace": namespace,
            "environment_name": name or "",
            "environment_description": description or "",
            "is_lockfile": is_lockfile,
            "labels": dict(labels or {}),
        }
        found = await self._ask(dict[str, Any], "POST", self._at("specification"), json=body)
        return int(found["build_id"])

    async def solve(
        self,
        specification: str,
        *,
        namespace: str = "",
        environment: str = "",
        is_lockfile: bool = False,
    ) -> SolveAnswer:
        """What would be built of an environment.yml, without building it; with an environment named, also what that
        changes there.

        Raises Wrong with the reason when it cannot be solved, ServerAway when the solver takes too long.
        """
        body = {"specification": specification, "namespace": namespace or None, "is_lockfile": is_lockfile}
        params = {key: value for key, value in {"namespace": namespace, "environment": environment}.items() if value}
        # It changes nothing: it may be asked again.
        return await self._ask(
            SolveAnswer,
            "POST",
            self._at("solve"),
            json=body,
            params=params,
            repeatable=True,
            timeout=SOLVE_SECONDS,
        )

    async def solve_packages(
        self,
        conda: Sequence[str],
        *,
        channels: Sequence[str] = (),
        pip: Sequence[str] = (),
        platform: str = "",
        namespace: str = "",
    ) -> list[SolvedPackage]:
        """The packages that these match specs and requirements become, on one platform."""
        query = {
            "conda": list(conda),
            "channel": list(channels),
            "pip": list(pip),
            "platform": platform,
            "namespace": namespace,
        }
        params = {key: value for key, value in query.items() if value}
        path = self._at("specification")
        return await self._ask(list[SolvedPackage], "GET", path, key="solve", params=params, timeout=SOLVE_SECONDS)
