"""What the gateway answers, for programs and for people: `/openapi.json`, and `/docs` out of it, from our own files.

`document` is OpenAPI 3.1 out of the declarations of the routes, `parameters` the parts of paths and queries in it,
`page` the same as HTML (template `page.html`).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from condarium.http.json_reply import JsonReply
from services.api.bodies import Model
from services.api.declaration import bare, redirect, text
from services.api.endpoint import Call, Gateway, slow
from services.api.openapi import page
from services.api.openapi.document import document

TAG = "operating"


def routes(gateway: Gateway, others: Sequence[Route]) -> list[Route]:
    """The routes of this subject; they describe `others` and themselves."""
    own: list[Route] = []

    @cache
    def described() -> dict[str, Any]:
        return document([*others, *own])

    async def at(call: Call[Model, Any]) -> dict[str, Any]:
        """As the client of this call reaches it."""
        return {**await call.aside(described), "servers": [{"url": call.link("") or "/"}]}

    async def show_document(call: Call[Model, Any]) -> Response:
        """This description, as OpenAPI 3.1."""
        return JsonReply(await at(call))

    async def show_page(call: Call[Model, Any]) -> Response:
        """This description, for people."""
        content = await at(call)
        made = await call.aside(lambda: page.render(content, call.link("")))
        return HTMLResponse(made, headers={"content-security-policy": page.POLICY, "cache-control": "no-cache"})

    async def show_page_elsewhere(call: Call[Model, Any]) -> Response:
        """Where FastAPI has its other page."""
        return RedirectResponse(call.link("/docs"), 307)

    own += [
        slow(gateway, "/openapi.json", show_document, returns=bare(dict[str, Any], "An OpenAPI document"), tag=TAG),
        slow(gateway, "/docs", show_page, returns=text("text/html", "The page"), tag=TAG),
        slow(gateway, "/redoc", show_page_elsewhere, returns=redirect("The page is at /docs"), tag=TAG),
    ]
    return own
