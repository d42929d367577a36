"""Tokens: one's own and, for administrators, everybody's; made, listed, revoked."""

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import Route

from condarium.domain.access import Action, Role, bindings_as_json
from condarium.http.faults import Unprocessable
from services.api import tokens
from services.api.admin import deeds, forms
from services.api.admin.forms import Form
from services.api.admin.frame import Again, back, shown, written
from services.api.admin.rendering import pager, render
from services.api.endpoint import Call, Gateway

LIST, ONE = "/admin/tokens/", "/admin/tokens/{token_id}/revoke/"
ROWS = 25


def routes(gateway: Gateway) -> list[Route]:
    return [
        shown(gateway, LIST, list_tokens),
        written(gateway, LIST, create_token, list_tokens),
        shown(gateway, ONE, confirm_revoke),
        written(gateway, ONE, revoke_token, confirm_revoke),
    ]


async def list_tokens(call: Call[Any, Any], again: Again) -> Response:
    """The tokens and logins that one may revoke, the newest first; and the form for a new one."""
    return await _page(call, again, None)


async def _page(call: Call[Any, Any], again: Again, made: dict[str, Any] | None) -> Response:
    manages, query, fault = call.caller.may(Action.MANAGE_TOKENS), forms.asked(call), again.fault
    found, page = None, 1
    try:
        asked = forms.checked(
            tokens.TokensQuery,
            {
                "owner": query.line("owner"),
                "kind": query.line("kind"),
                "page": query.get("page", "1"),
                "size": ROWS,
            },
        )
        found, page = await deeds.read(call, tokens.list_tokens, query=asked), asked.page
    except Unprocessable as error:
        fault = fault or forms.fault_of(error)
    return render(
        call,
        "tokens.html",
        title="Tokens",
        form=again.form,
        fault=fault,
        fault_at="new" if again.fault else "",
        query=query,
        tokens=found.rows if found else [],
        pager=pager(call, page, ROWS, found.count) if found else None,
        manages=manages,
        made=made,
        own=bindings_as_json(call.caller.principal.bindings),
        roles=[each.value for each in Role],
    )


async def create_token(call: Call[Any, Any], form: Form) -> Response:
    """A new token; its text is on the page that answers, this once.

    It is no redirect: what is shown once must not be kept anywhere until it is asked for.
    """
    body = forms.checked(
        tokens.TokenBody,
        {
            "name": form.line("name"),
            "primary_namespace": form.line("primary_namespace") or None,
            "expiration": form.line("expiration") or None,
            "role_bindings": _bindings(form),
        },
    )
    made = await deeds.write(call, tokens.create_token, body=body)
    return await _page(call, Again(), made)


def _bindings(form: Form) -> dict[str, list[str]] | None:
    """Lines such as `team/*: viewer, editor`; nothing means all that one may do. Raises Unprocessable."""
    found: dict[str, list[str]] = {}
    for line in form.lines("role_bindings"):
        arn, colon, roles = line.partition(":")
        named = [each.strip() for each in roles.split(",") if each.strip()]
        if not colon or not named:
            raise Unprocessable(
                [{"loc": ["body", "role_bindings"], "msg": f"{line[:80]!r} is no line such as team/*: viewer"}]
            )
        found.setdefault(arn.strip(), []).extend(named)
    return found or None


async def confirm_revoke(call: Call[Any, Any], again: Again) -> Response:
    """Asks once more."""
    number, name, owner = await deeds.read(call, _named)
    own = number == call.caller.principal.token_id
    ends = "You are logged in with it: revoking it logs you out." if own else "Whoever uses it is anonymous at once."
    return render(
        call,
        "confirm.html",
        title=f"Revoke token {number}?",
        fault=again.fault,
        what=f"Token {number}{name and f' «{name}»'} of {owner}",
        explained=f"{ends} The tokens that were made with it end, too.",
        button="Revoke the token",
        stay=LIST,
    )


def _named(session: Session, asked: Call[Any, Any]) -> tuple[int, str, str]:
    row = tokens.find_token(session, asked)
    return row.id, row.name, row.owner


async def revoke_token(call: Call[Any, Any], form: Form) -> Response:
    """Ends a token, and those that were made with it."""
    await tokens.revoke_token(deeds.as_rest(call))
    return back(call, LIST, "revoked")
