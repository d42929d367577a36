"""The form, what is posted by it or by conda-store's client, and the logout."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from pydantic_core import from_json
from starlette.responses import RedirectResponse, Response

from condarium.errors import InvalidInput, NotAuthorized, TooManyRequests
from condarium.http.faults import envelope, on_condarium_error
from condarium.http.json_reply import JsonReply
from condarium.http.requests import read_body
from services.api.bodies import Model, Text
from services.api.endpoint import Call
from services.api.login import attempts, page, passwords, places, sessions

#: of a name, a token and a place to go
LONGEST_BODY = 64 * 1024
LONGEST_NAME = 200


class NextQuery(Model):
    """`next` is a page of ours to go to afterwards."""

    next: Text = ""


class Credentials(Model):
    """`password` is a token; `token` is another word for it."""

    username: str = ""
    password: str = ""
    token: str = ""


@dataclass(frozen=True)
class Posted:
    """`by_form` is whether a browser's form sent it, and wants a page."""

    username: str
    password: str
    by_form: bool


async def log_in(call: Call[NextQuery, Any]) -> Response:
    """Logs in with a token as the password; the cookie of the reply is the login.

    As JSON, or as a form: that is answered with the form again, or the page to go to.
    """
    place = places.after(call, call.query.next)
    posted = await _read(call)
    try:
        async with attempts.counted(call, posted.username):
            started = await call.within(
                lambda session: passwords.log_in(session, call, posted.username, posted.password)
            )
    except (NotAuthorized, TooManyRequests) as error:
        if not posted.by_form:
            return await _refusal(call, error)
        reply: Response = page.form(call, place, fault=str(error), status=error.status)
        if isinstance(error, TooManyRequests):
            reply.headers["retry-after"] = str(round(error.retry_after or 1))
        return reply
    if posted.by_form:
        reply = RedirectResponse(place, 303)
    else:
        reply = JsonReply({"status": "ok", "data": {"redirect_url": places.absolute(call, place)}})
    sessions.set_cookie(call, reply, started)
    return reply


async def _refusal(call: Call[Any, Any], error: NotAuthorized | TooManyRequests) -> Response:
    """Said here and not raised: the audit log has it already, as a failed login."""
    if isinstance(error, NotAuthorized):
        return envelope(error.status, error.code, str(error))
    return await on_condarium_error(call.request, error)


async def _read(call: Call[Any, Any]) -> Posted:
    """Raises InvalidInput for what is neither JSON nor a form."""
    raw = await read_body(call.request, LONGEST_BODY)
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    by_form = kind == "application/x-www-form-urlencoded"
    try:
        if by_form:
            parsed = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=20)
            found: Any = {name: values[-1] for name, values in parsed.items()}
        else:
            found = from_json(raw) if raw else {}
        content = Credentials.model_validate(found)
    except ValueError:
        # Neither the body nor a part of it may be in the message.
        raise InvalidInput(
            'the body is no login: JSON with texts such as {"username": "...", "password": "..."}, or a form'
        ) from None
    return Posted(content.username.strip()[:LONGEST_NAME], (content.password or content.token).strip(), by_form)


async def log_out(call: Call[NextQuery, Any]) -> Response:
    """Ends the login, here and wherever its cookie was copied to, and goes on to `next`."""
    await call.within(lambda session: sessions.end(session, call))
    call.gateway.authenticator.forget()
    reply = RedirectResponse(places.after(call, call.query.next), 303)
    sessions.clear_cookie(call, reply)
    return reply
