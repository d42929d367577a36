"""Replies that are sent as they are made."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Stream(Response):
    """Sends what `source` yields until it ends or the client goes; then `source` is closed at once."""

    def __init__(
        self, source: AsyncGenerator[bytes, None], *, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status_code=status_code, headers=headers)
        if headers is None or "content-length" not in headers:
            del self.headers["content-length"]
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks, aclosing(self._source) as source:

            async def until_gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_gone)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                async for chunk in source:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()
