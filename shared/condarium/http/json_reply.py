"""JSON replies."""

from typing import Any

from pydantic_core import to_json
from starlette.responses import Response


class JsonReply(Response):
    """Bytes by pydantic's serialiser: several times quicker than the standard library's on long lists."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content, inf_nan_mode="null")
