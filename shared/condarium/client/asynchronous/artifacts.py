"""What is made of a build: how it stands, images, lockfiles, downloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import httpx

from condarium.client import faults
from condarium.client.arriving import Arriving
from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.models.builds import Artifact, Image

#: how often a download that breaks off is taken up again without anything having come
BREAKS = 5
IMAGE = "DOCKER_MANIFEST"
#: the longest that the server itself waits
SERVER_WAITS_SECONDS = 600.0


class AsyncArtifacts(AsyncConnection):
    """Paths are those below `/api/v1/`, such as `build/3/archive/`."""

    async def artifacts(self, build_id: int) -> list[Artifact]:
        """What was asked for of a build, and how it stands."""
        return await self._ask(list[Artifact], "GET", self._at("build", build_id, "artifact"))

    async def request_artifact(self, build_id: int, kind: str) -> None:
        """Asks for an artifact; one that has failed is tried again. Raises NotThere for an unknown type."""
        await self._say("POST", self._at("build", build_id, "artifact", kind), repeatable=True)

    async def wait_artifact(self, build_id: int, kind: str, *, seconds: float = SERVER_WAITS_SECONDS) -> Artifact:
        """The artifact once it is there; asks for it where nobody has.

        Raises NotMade with the reason, StillWaiting after `seconds`.
        """
        until = monotonic() + seconds
        pause = 0.05
        asked = False
        while True:
            found = next((item for item in await self.artifacts(build_id) if item.artifact_type == kind), None)
            if found is not None and found.state == "READY":
                return found
            if found is not None and found.state == "FAILED":
                raise faults.NotMade(f"the {kind} of build {build_id} could not be made: {found.reason}")
            if found is None and not asked:
                await self.request_artifact(build_id, kind)
                asked = True
            if monotonic() > until:
                raise faults.StillWaiting(f"the {kind} of build {build_id} is still not made after {seconds:g} s")
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 1.5)

    async def image(self, build_id: int, *, wait_seconds: float = 0.0) -> Image:
        """The image of a build. Raises NotMade, StillWaiting."""
        made = await self.wait_artifact(build_id, IMAGE, seconds=wait_seconds)
        name = (await self._send("GET", self._at("build", build_id, "docker"))).text.strip()
        digest = f"sha256:{made.digest}"
        # The host may have a port: only what follows the last slash is a tag.
        place, slash, last = name.rpartition("/")
        return Image(name=name, digest=digest, pinned=f"{place}{slash}{last.partition(':')[0]}@{digest}")

    async def lockfile(self, build_id: int, *, format: str = "json", wait_seconds: float = 0.0) -> str:
        """`format` is json, conda-lock, explicit, pixi or environment. Raises NotThere while it is not made."""
        async with self.download(f"build/{build_id}/lockfile/", wait_seconds=wait_seconds, format=format) as reply:
            return (await reply.aread()).decode()

    async def logs(self, build_id: int) -> str:
        """The log so far, or all of it once the build has ended."""
        async with self._open(self._at("build", build_id, "logs")) as reply:
            return (await reply.aread()).decode(errors="replace")

    @asynccontextmanager
    async def download(self, path: str, *, wait_seconds: float = 0, **query: str) -> AsyncIterator[httpx.Response]:
        """A served thing such as `build/3/archive/`, to be read with `aiter_bytes`; waits until it is made."""
        if wait_seconds:
            query["wait"] = f"{min(wait_seconds, SERVER_WAITS_SECONDS):g}"
        async with self._open(f"api/v1/{path}", query, timeout=wait_seconds + 60) as reply:
            yield reply

    async def save(
        self,
        path: str,
        target: Path | str,
        *,
        wait_seconds: float = 0,
        digest: str | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        **query: str,
    ) -> int:
        """Downloads into `target`, which appears when it is whole; returns its bytes.

        A download that breaks off goes on where it stood, also after a restart of the program: what has come waits in
        a hidden file beside `target`. Its length is checked, its sha256 where its address names that, and `digest`
        (an `Artifact.digest`) against what the server says it sends. `progress(bytes so far, all bytes)` is called as
        it grows.

        Raises Damaged when something else came, ServerAway when it breaks off again and again.
        """
        arriving = Arriving(Path(target), digest=digest)
        if wait_seconds:
            query["wait"] = f"{min(wait_seconds, SERVER_WAITS_SECONDS):g}"
        failures = 0
        while True:
            size = arriving.size
            try:
                async with self._open(
                    f"api/v1/{path}", query, timeout=wait_seconds + 60, **arriving.headers()
                ) as reply:
                    with arriving.taking(reply) as file:
                        async for chunk in reply.aiter_raw():
                            file.write(chunk)
                            if progress is not None:
                                progress(file.tell(), arriving.expected)
                if arriving.whole:
                    return arriving.finish()
                raise faults.away(self.url, EOFError("the download ended before its end"))
            except faults.ServerAway:
                failures = failures + 1 if arriving.size <= size else 1
                if failures > BREAKS:
                    raise
            except faults.ApiError as error:
                if error.status != 416:
                    raise
                # What is there is longer than what is sent: it was something else.
                arriving.forget()
                failures += 1
                if failures > BREAKS:
                    raise
            await asyncio.sleep(min(2.0, 0.1 * 2**failures))
