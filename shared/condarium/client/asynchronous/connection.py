"""Requests: sent, tried again where that is safe, read page by page; and the errors they end with."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from condarium.client import faults, retry

T = TypeVar("T")
#: rows asked for at a time; the most that the server gives
PAGE = 100


@lru_cache(maxsize=256)
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


class AsyncConnection:
    """`url` is the gateway's address (with or without a path before `/api`); `token` may be empty for anonymous.

    `timeout` is in seconds, for each step of a request; `tries` is how often a read is sent, the first included.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        timeout: float = 60.0,
        tries: int = retry.TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._tries = max(1, tries)
        try:
            self._http = httpx.AsyncClient(
                base_url=f"{self.url}/", headers=headers, timeout=timeout, follow_redirects=True, transport=transport
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise faults.ApiError(f"no client can be made for {url!r}: {error}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    @staticmethod
    def _at(*parts: object, version: str = "v1", end: str = "/") -> str:
        """The path of these parts, each of which may hold anything."""
        named = [quote(str(part), safe="") for part in parts if part != ""]
        return "/".join(["api", version, *named]) + end

    async def _send(
        self, method: str, path: str, *, repeatable: bool | None = None, accept: tuple[int, ...] = (), **more: Any
    ) -> httpx.Response:
        """The reply; its body has been read. `repeatable` by default is what reads are.

        Raises ApiError for an answer of 400 and more that is not in `accept`, and for none.
        """
        again = method in ("GET", "HEAD") if repeatable is None else repeatable
        for attempt in count(1):
            try:
                reply = await self._http.request(method, path, **more)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                wait = (
                    retry.after_error(error, attempt, self._tries, repeatable=again)
                    if isinstance(error, httpx.HTTPError)
                    else None
                )
                if wait is None:
                    raise faults.away(self.url, error) from error
            else:
                if reply.status_code < 400 or reply.status_code in accept:
                    return reply
                wait = retry.after_reply(reply, attempt, self._tries, repeatable=again)
                if wait is None:
                    raise faults.fault(reply)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _json(self, method: str, path: str, **more: Any) -> Any:
        """The body of the reply. Raises ApiError."""
        reply = await self._send(method, path, **more)
        try:
            return reply.json()
        except ValueError as error:
            raise faults.strange(reply, error) from None

    async def _ask(self, shape: type[T], method: str, path: str, *, key: str = "data", **more: Any) -> T:
        """What stands under `key` of the reply (the whole of it for ""), as `shape`. Raises ApiError."""
        reply = await self._send(method, path, **more)
        try:
            found = reply.json()
            content = found[key] if key else found
            shaped: T = _adapter(cast(Any, shape)).validate_python(content)
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise faults.strange(reply, error) from None
        return shaped

    async def _say(self, method: str, path: str, **more: Any) -> str:
        """Does something that has nothing to show; returns the server's sentence, if it has one. Raises ApiError."""
        found = await self._json(method, path, **more)
        return str(found.get("message") or "") if isinstance(found, dict) else ""

    async def _pages(self, shape: type[T], path: str, query: Mapping[str, Any]) -> AsyncIterator[T]:
        """All rows of a list that has pages, read as they are wanted."""
        wanted = {key: value for key, value in query.items() if value not in (None, "", (), [])}
        seen = 0
        for page in count(1):
            params = {**wanted, "page": page, "size": PAGE}
            found = await self._ask(dict[str, Any], "GET", path, key="", params=params)
            rows = self._rows(shape, found)
            for row in rows:
                yield row
            seen += len(rows)
            if len(rows) < PAGE or seen >= int(found.get("count", 0)):
                return

    async def _after(self, shape: type[T], path: str, query: Mapping[str, Any], *, limit: int) -> AsyncIterator[T]:
        """All rows of a list that is read by cursor; `limit` rows at a time."""
        wanted = {key: value for key, value in query.items() if value not in (None, "", (), [])}
        cursor = ""
        while True:
            params = {**wanted, "limit": limit} | ({"cursor": cursor} if cursor else {})
            found = await self._ask(dict[str, Any], "GET", path, key="", params=params)
            rows = self._rows(shape, found)
            for row in rows:
                yield row
            before, cursor = cursor, str(found.get("cursor") or "")
            if not cursor or cursor == before or len(rows) < limit:
                return

    def _rows(self, shape: type[T], found: dict[str, Any]) -> list[T]:
        try:
            return [_adapter(cast(Any, shape)).validate_python(row) for row in found["data"]]
        except (KeyError, TypeError, ValidationError) as error:
            raise faults.ApiError(
                f"{self.url} answered with rows that are not Condarium's ({str(error).splitlines()[0]}); "
                "does CONDARIUM_API_URL name the gateway?"
            ) from None

    @asynccontextmanager
    async def _open(
        self, path: str, query: Mapping[str, Any] | None = None, *, timeout: float = 60.0, **headers: str
    ) -> AsyncIterator[httpx.Response]:
        """A reply whose body is read by the caller. The head of it is asked for again as reads are. Raises ApiError."""
        opened = False
        for attempt in count(1):
            try:
                async with self._http.stream(
                    "GET", path, params=dict(query or {}), timeout=timeout, headers=headers
                ) as reply:
                    wait = None
                    if reply.status_code >= 400:
                        await reply.aread()
                        wait = retry.after_reply(reply, attempt, self._tries, repeatable=True)
                        if wait is None:
                            raise faults.fault(reply)
                    if wait is None:
                        opened = True
                        yield reply
                        return
            except httpx.HTTPError as error:
                wait = None if opened else retry.after_error(error, attempt, self._tries, repeatable=True)
                if wait is None:
                    raise faults.away(self.url, error) from error
            await asyncio.sleep(wait)
