"""Login and logout.

`form` is the form and what is posted, `passwords` decides what that is worth, `attempts` slows guessing down;
`provider` speaks to a login provider and `callback` is the journey there and back; `sessions` is the cookie, `places`
where people may be sent, `page` the HTML.
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from services.api.bodies import Model, Text
from services.api.declaration import Reply, redirect, text
from services.api.endpoint import Call, Gateway, slow
from services.api.login import callback, form, page, places
from services.api.replies.login import LoggedIn

_FORM = text("text/html", "The form")


class CallbackQuery(Model):
    """What the provider sends along."""

    code: Text = ""
    state: Text = ""
    error: Text = ""


def routes(gateway: Gateway) -> list[Route]:
    journey = callback.Journey(gateway) if gateway.login.login_provider != "none" else None

    async def begin(call: Call[Any, Any]) -> Response:
        """The form; or on to the login provider, where there is one."""
        if journey is not None and call.request.query_params.get("with") != "token":
            return await journey.begin(call)
        return page.form(call, places.after(call, call.query.next))

    login = [
        slow(
            gateway,
            "/login/",
            begin,
            query=form.NextQuery,
            returns=(_FORM, redirect("To the login provider", status=302), _page(503, "The login provider is away")),
        ),
        slow(
            gateway,
            "/login/",
            form.log_in,
            method="POST",
            query=form.NextQuery,
            reads=form.Credentials,
            reads_as=("application/json", "application/x-www-form-urlencoded"),
            returns=(
                Reply(model=LoggedIn, description="Logged in", headers={"Set-Cookie": "the login"}),
                redirect("Logged in by the form", status=303),
                *(_page(status, "The form again, for a form") for status in (403, 429)),
            ),
            errors=(400, 403, 413, 429),
        ),
        slow(
            gateway,
            "/logout/",
            form.log_out,
            method="POST",
            query=form.NextQuery,
            returns=redirect("Logged out", status=303),
            tag="login",
        ),
    ]
    if journey is None:
        return login
    return [
        *login,
        slow(
            gateway,
            "/oauth_callback/",
            journey.come_back,
            query=CallbackQuery,
            returns=(
                text("text/html", "Logged in; the page goes on by itself"),
                *(_page(status, "A page that says why not") for status in (401, 403, 503)),
            ),
        ),
    ]


def _page(status: int, description: str) -> Reply:
    return text("text/html", description, status=status)
