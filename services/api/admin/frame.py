"""Routes of pages: whoever has not logged in is sent to the login, and what goes wrong is said on the page itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from condarium.errors import CondariumError, NotAuthorized
from condarium.http.faults import Unprocessable
from services.api.admin import forms
from services.api.admin.forms import Fault, Form
from services.api.admin.rendering import render
from services.api.auditing import noting_refusals
from services.api.declaration import DeclaredRoute, redirect, text
from services.api.endpoint import Call, Gateway, slow
from services.api.login.page import login_address

_FAULTS = (400, 403, 404, 409, 413, 422, 429, 503)
_REPLIES = (
    text("text/html", "The page"),
    redirect("To where it is to be seen; or to the login", status=303),
    *(text("text/html", "The page, with what is wrong on it", status=status) for status in _FAULTS),
)


@dataclass(frozen=True)
class Again:
    """What was typed and what was wrong with it, for a page that is shown once more."""

    form: Form = field(default_factory=Form)
    fault: Fault | None = None


Show = Callable[[Call[Any, Any], Again], Awaitable[Response]]
Do = Callable[[Call[Any, Any], Form], Awaitable[Response]]


def shown(gateway: Gateway, path: str, show: Show) -> Route:
    """A page to look at."""

    async def page(call: Call[Any, Any]) -> Response:
        if not call.caller.principal.is_authenticated:
            return to_login(call)
        try:
            with noting_refusals(call, _name(show)):
                return await show(call, Again())
        except (CondariumError, Unprocessable) as error:
            return _stranded(call, error)

    return _route(gateway, path, page, show, "GET")


def written(gateway: Gateway, path: str, do: Do, show: Show) -> Route:
    """What a form does; `show` is the page with the form, for when it cannot be done."""

    async def post(call: Call[Any, Any]) -> Response:
        form = Form()
        try:
            with noting_refusals(call, _name(do)):
                if not call.caller.principal.is_authenticated:
                    raise NotAuthorized("your login has ended; log in and do it again")
                form = await forms.read(call)
                return await do(call, form)
        except (CondariumError, Unprocessable) as error:
            if not call.caller.principal.is_authenticated:
                return _stranded(call, error)
            return await _once_more(call, error, form, show)

    return _route(gateway, path, post, do, "POST")


async def _once_more(call: Call[Any, Any], error: CondariumError | Unprocessable, form: Form, show: Show) -> Response:
    if isinstance(error, CondariumError) and error.status == 500:
        raise error
    try:
        return await show(call, Again(form, forms.fault_of(error)))
    except (CondariumError, Unprocessable):
        # Not even the page may be seen, or there is nothing to see: what was said first counts.
        return _stranded(call, error)


def _stranded(call: Call[Any, Any], error: CondariumError | Unprocessable) -> Response:
    """A page that has only the fault to show."""
    if isinstance(error, CondariumError) and error.status == 500:
        raise error
    return render(call, "stranded.html", title="This cannot be shown", fault=forms.fault_of(error))


def _route(
    gateway: Gateway, path: str, page: Callable[[Call[Any, Any]], Awaitable[Response]], says: Any, method: str
) -> Route:
    page.__name__, page.__doc__ = _name(says), says.__doc__
    made = slow(gateway, path, page, method=method, returns=_REPLIES, tag="pages")
    assert isinstance(made, DeclaredRoute)
    made.declaration = replace(made.declaration, is_page=True)
    return made


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", "page"))


def to_login(call: Call[Any, Any]) -> Response:
    """There and back to this page."""
    url = call.request.url
    place = f"{url.path}?{url.query}" if url.query else url.path
    return RedirectResponse(login_address(call, place), 303)


def back(call: Call[Any, Any], path: str, said: str = "", **query: str) -> Response:
    """To a page of ours after a deed; `said` is a word of `rendering.SAID`."""
    asked = {name: value for name, value in {"said": said, **query}.items() if value}
    return RedirectResponse(call.link(path) + (f"?{urlencode(asked)}" if asked else ""), 303)
