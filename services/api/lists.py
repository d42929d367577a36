"""Replies of lists whose rows Postgres has written as JSON: the envelope around them."""

from pydantic_core import to_json
from starlette.responses import Response

from condarium.database.listing import Paging
from condarium.database.pages import TextPage
from services.api.bodies import MAX_PAGE_SIZE


def paged(found: TextPage, paging: Paging, *, message: bool = True) -> Response:
    """A page in conda-store's envelope; all rows as one page say that it could hold no fewer than a common one."""
    size = max(found.shown, MAX_PAGE_SIZE) if paging.size is None else paging.size
    words = '"message":null,' if message else ""
    numbers = f'"page":{paging.page},"size":{size},"count":{found.count}'
    return _reply(f'{{"status":"ok","data":[{found.rows}],{words}{numbers}}}')


def after(found: TextPage, cursor: str) -> Response:
    """Rows behind a cursor, in the envelope of v2."""
    words = f'"status":"ok","message":null,"cursor":{to_json(cursor).decode()},"count":{found.count}'
    return _reply(f'{{"data":[{found.rows}],{words}}}')


def _reply(text: str) -> Response:
    return Response(text.encode(), media_type="application/json")
