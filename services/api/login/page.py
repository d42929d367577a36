"""The pages of a login, self-contained; what is filled in is escaped."""

import html
from string import Template
from typing import Any
from urllib.parse import quote

from starlette.responses import HTMLResponse

from condarium.http.origins import allowed_origins
from services.api.endpoint import Call

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; color: #1c2733; }
h1 { margin-bottom: .2rem; } .quiet { color: #5a6b7b; font-size: .92rem; } code { font: 14px ui-monospace, monospace; }
label { display: block; margin: 1rem 0 .2rem; } input { width: 100%; box-sizing: border-box; font: inherit;
padding: .45rem .6rem; border: 1px solid #9fb0bf; border-radius: 6px; } button { margin-top: 1.2rem; font: inherit;
padding: .5rem 1.4rem; border: 0; border-radius: 6px; background: #276749; color: #fff; cursor: pointer; }
.fault { background: #fdecea; color: #7a1c12; padding: .6rem .8rem; border-radius: 6px; }
"""
_FRAME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="same-origin">
<title>$title</title>
$head<style>$style</style>
</head>
<body>
<h1>Condarium</h1>
$body
</body>
</html>
""")
_FORM = Template("""$fault<form method="post" action="$action">
<label for="username">User name</label>
<input id="username" name="username" autocomplete="username" autofocus>
<label for="password">$password_label</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Log in</button>
</form>
<p class="quiet">$hint</p>
$other""")
_DEVELOPMENT = (
    "Development login: the password is the administrator's token (<code>CONDARIUM_ADMIN_TOKEN</code>; "
    "<code>make up</code> writes it to <code>.local/condarium.env</code>). As <code>admin</code> you may do "
    "everything; any other name is a user with a namespace of that name. A token works as the password, too."
)
_TOKEN = "A token is the password; the user name may be left empty."


def form(call: Call[Any, Any], place: str, *, fault: str = "", status: int = 200) -> HTMLResponse:
    """`place` is where to go afterwards."""
    login = call.gateway.login
    other = ""
    if login.login_provider != "none":
        other = f'<p><a href="{_escaped(login_address(call, place))}">Log in with {login.login_provider}</a></p>'
    body = _FORM.substitute(
        fault=f'<p class="fault" role="alert">{_escaped(fault)}</p>' if fault else "",
        action=_escaped(login_address(call, place)),
        password_label="Password" if login.development_login else "Token",
        hint=_DEVELOPMENT if login.development_login else _TOKEN,
        other=other,
    )
    return _page(call, "Log in", body, status)


def notice(call: Call[Any, Any], title: str, text: str, place: str, status: int) -> HTMLResponse:
    """A login by a provider that did not work, with ways to go on."""
    again, token = login_address(call, place), f"{login_address(call, place)}&with=token"
    body = (
        f'<p class="fault" role="alert">{_escaped(text)}</p><p><a href="{_escaped(again)}">Try again</a> · '
        f'<a href="{_escaped(token)}">Log in with a token</a> · <a href="{_escaped(call.link("/"))}">First page</a></p>'
    )
    return _page(call, title, body, status)


def onwards(call: Call[Any, Any], place: str) -> HTMLResponse:
    """A page that goes on to `place` by itself.

    A redirect would still be a part of the journey that began at the provider, and on that browsers send no cookie
    that is SameSite=strict.
    """
    head = f'<meta http-equiv="refresh" content="0;url={_escaped(place)}">\n'
    body = f'<p>You are logged in. <a href="{_escaped(place)}">Go on</a></p>'
    return _page(call, "Logged in", body, 200, head=head)


def login_address(call: Call[Any, Any], place: str) -> str:
    return f"{call.link('/login/')}?next={quote(place, safe='/')}"


def _page(call: Call[Any, Any], title: str, body: str, status: int, *, head: str = "") -> HTMLResponse:
    origins = " ".join(sorted(allowed_origins(call.gateway.login.allowed_origins)))
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {origins}"
    )
    text = _FRAME.substitute(title=_escaped(title), style=_STYLE, body=body, head=head)
    headers = {"content-security-policy": policy.strip(), "cache-control": "no-store"}
    return HTMLResponse(text, status, headers=headers)


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
