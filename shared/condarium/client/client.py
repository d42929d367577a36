"""The client. Reads are tried again when the network fails; writes are sent once."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from condarium.client import faults, stream

Json = dict[str, Any]

FINAL = ("COMPLETED", "FAILED", "CANCELED")
READ_TRIES = 4
PAGE = 100


class Client:
    """`url` is the gateway's address (with or without a path before `/api`); `token` may be empty for anonymous.

    Methods raise `ApiError` and its subclasses, whose text is a sentence for people.
    """

    def __init__(self, url: str, *, token: str = "", timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.url}/", headers=headers, timeout=timeout, follow_redirects=True)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- specifications ------------------------------------------------------------------------------------------

    def submit(self, specification: str, *, namespace: str | None = None) -> int:
        """Asks for a build of the text of an environment.yml; returns the build's id."""
        body = {"specification": specification, "namespace": namespace}
        return int(self._call("POST", "specification/", json=body)["data"]["build_id"])

    # -- environments --------------------------------------------------------------------------------------------

    def environments(self, *, namespace: str | None = None, search: str | None = None) -> list[Json]:
        return list(self._pages("environment/", {"namespace": namespace, "search": search}))

    def environment(self, namespace: str, name: str) -> Json:
        return dict(self._call("GET", f"environment/{namespace}/{name}/")["data"])

    def activate(self, namespace: str, name: str, build_id: int) -> None:
        """Makes a completed build the current one: a rollback, or back again."""
        self._call("PUT", f"environment/{namespace}/{name}/", json={"build_id": build_id})

    def delete_environment(self, namespace: str, name: str) -> None:
        self._call("DELETE", f"environment/{namespace}/{name}/")

    # -- builds --------------------------------------------------------------------------------------------------

    def builds(self, **filters: Any) -> Iterator[Json]:
        """Newest first. Filters: namespace, name, status, environment_id, packages, artifact."""
        return self._pages("build/", {"sort_by": "id", "order": "desc", **filters})

    def build(self, build_id: int) -> Json:
        return dict(self._call("GET", f"build/{build_id}/")["data"])

    def packages(self, build_id: int) -> list[Json]:
        return list(self._pages(f"build/{build_id}/packages/", {}))

    def cancel(self, build_id: int) -> None:
        self._call("PUT", f"build/{build_id}/cancel/")

    def retry(self, build_id: int) -> None:
        """Another try of a failed or canceled build, under its own number."""
        self._call("PUT", f"build/{build_id}/retry/")

    def wait(self, build_id: int, *, seconds: float = 3600.0) -> Json:
        """The build once it has ended, however. Raises ApiError after `seconds`."""
        until = time.monotonic() + seconds
        pause = 0.05
        while True:
            build = self.build(build_id)
            if build["status"] in FINAL:
                return build
            if time.monotonic() > until:
                raise faults.ApiError(f"build {build_id} is still {build['status']} after {seconds:g} s")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)

    def logs(self, build_id: int) -> str:
        """The log so far, or all of it once the build has ended."""
        with self._open(f"build/{build_id}/logs/") as reply:
            return reply.read().decode(errors="replace")

    def follow(self, build_id: int) -> Iterator[stream.Message]:
        """The log as it grows and each change of state; ends with the build. Reconnects by itself."""
        return stream.messages(self._http, f"api/v1/build/{build_id}/logs/stream/")

    def events(self, *, after: int | None = None, **filters: str) -> Iterator[stream.Message]:
        """Events for ever; `after=0` from the first, None from now. Filters: namespace, environment, build, type."""
        query = {key: value for key, value in filters.items() if value}
        return stream.messages(self._http, "api/v1/events/", query=query, after=after)

    # -- what is served ------------------------------------------------------------------------------------------

    @contextmanager
    def download(self, path: str, *, wait_seconds: float = 0, **query: str) -> Iterator[httpx.Response]:
        """A served thing such as `build/3/archive/`, to be read with `iter_bytes`; waits until it is made."""
        if wait_seconds:
            query["wait"] = f"{wait_seconds:g}"
        with self._open(path, query, timeout=wait_seconds + 60) as reply:
            yield reply

    def save(self, path: str, target: Path, *, wait_seconds: float = 0, **query: str) -> int:
        """Downloads into `target`, which appears when it is whole; returns its bytes."""
        part = target.with_name(f".{target.name}.part")
        try:
            with self.download(path, wait_seconds=wait_seconds, **query) as reply, part.open("wb") as file:
                for chunk in reply.iter_bytes(1 << 20):
                    file.write(chunk)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target.stat().st_size

    # -- requests ------------------------------------------------------------------------------------------------

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Json]:
        wanted = {key: value for key, value in query.items() if value is not None}
        page = 1
        while True:
            reply = self._call("GET", path, params={**wanted, "page": page, "size": PAGE})
            yield from reply["data"]
            if page * PAGE >= reply["count"]:
                return
            page += 1

    def _call(self, method: str, path: str, **more: Any) -> Json:
        for left in reversed(range(READ_TRIES if method == "GET" else 1)):
            try:
                reply = self._http.request(method, f"api/v1/{path}", **more)
            except httpx.HTTPError as error:
                if left == 0:
                    raise faults.away(self.url, error) from error
                time.sleep(0.2 * (READ_TRIES - left))
                continue
            if reply.status_code < 400:
                return dict(reply.json())
            if reply.status_code < 500 or left == 0:
                raise faults.fault(reply)
            time.sleep(0.2 * (READ_TRIES - left))
        raise AssertionError("unreachable")

    @contextmanager
    def _open(
        self, path: str, query: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", f"api/v1/{path}", params=dict(query or {}), timeout=timeout) as reply:
                if reply.status_code >= 400:
                    reply.read()
                    raise faults.fault(reply)
                yield reply
        except httpx.HTTPError as error:
            raise faults.away(self.url, error) from error
