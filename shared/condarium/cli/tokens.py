"""`condarium token ...`, `condarium user ...`"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from condarium.cli.output import Json, Output, Yes, confirm, minute, say
from condarium.cli.session import connect, naming
from condarium.errors import InvalidInput

app = typer.Typer(help="Tokens: what programs log in with.", no_args_is_help=True)
user = typer.Typer(help="Those who log in; for administrators.", no_args_is_help=True)

User = Annotated[str, typer.Argument(help="A name of `user list`")]


def parse_bindings(texts: list[str]) -> dict[str, list[str]] | None:
    """`ARN=ROLE[,ROLE]`s. Raises InvalidInput."""
    found: dict[str, list[str]] = {}
    for text in texts:
        arn, equals, roles = text.partition("=")
        if not equals or not arn or not roles:
            raise InvalidInput(f"{text!r} is no binding: write ARN=ROLE, such as 'team/*=viewer'")
        found.setdefault(arn, []).extend(word.strip() for word in roles.split(","))
    return found or None


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for")] = "",
    days: Annotated[float | None, typer.Option(min=0.0001, help="How long it lives.")] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option(help="ARN=ROLE[,ROLE] such as 'team/*=viewer'; may be repeated; by default all that you may."),
    ] = None,
    primary_namespace: Annotated[str | None, typer.Option(help="Its own namespace.")] = None,
    json: Json = False,
) -> None:
    """Makes a token and prints it, this once."""
    expires_on = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    with connect() as client:
        made = client.create_token(
            name=name,
            expires_on=expires_on,
            primary_namespace=primary_namespace,
            role_bindings=parse_bindings(bind or []),
        )
    if json:
        Output(json).value(made)
        return
    say(f"token {made.condarium.id} is good until {minute(made.condarium.expires_on)} UTC; it is shown this once")
    print(made.token)


@app.command("list")
def list_tokens(
    owner: Annotated[str, typer.Option(help="Of somebody else, or * for all: for administrators.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended, and logins.")] = False,
    json: Json = False,
) -> None:
    """Lists tokens; their texts are not kept."""
    with connect() as client:
        rows = list(client.tokens(owner=owner, kind="" if everything else "token"))
    Output(json).rows(
        [row for row in rows if everything or row.state == "good"],
        {
            "token": lambda row: row.id,
            "name": lambda row: f"{row.name}{' (this one)' if row.current else ''}",
            "owner": lambda row: row.owner,
            "state": lambda row: row.state,
            "until (UTC)": lambda row: minute(row.expires_on),
            "last used": lambda row: minute(row.last_used_on) or "never",
            "may": lambda row: ", ".join(f"{arn}: {'+'.join(roles)}" for arn, roles in row.role_bindings.items()),
        },
    )


@app.command("revoke")
def revoke(
    token: Annotated[int, typer.Argument(help="Its number", min=1)], yes: Yes = False, json: Json = False
) -> None:
    """Ends a token, and those that were made with it, at once and everywhere."""
    if not yes:
        confirm(f"End token {token}, and those made with it?")
    with connect() as client, naming(f"token {token}", "token"):
        said = client.revoke_token(token)
    Output(json).done(said, token=token, message=said)


@user.command("list")
def list_users(json: Json = False) -> None:
    """Lists who has ever logged in."""
    with connect() as client:
        rows = list(client.users())
    Output(json).rows(
        rows,
        {
            "name": lambda row: row.name,
            "provider": lambda row: row.provider,
            "namespace": lambda row: row.primary_namespace,
            "last login (UTC)": lambda row: minute(row.last_login_on),
            "": lambda row: "disabled" if row.disabled_on else "",
        },
    )


@user.command("disable")
def disable(name: User, json: Json = False) -> None:
    """Shuts somebody out at once: no login, and every token of theirs is worth nothing."""
    with connect() as client, naming(f"user {name}", "user"):
        said = client.disable_user(name)
    Output(json).done(said, user=name, disabled=True)


@user.command("enable")
def enable(name: User, json: Json = False) -> None:
    """Lets somebody in again."""
    with connect() as client, naming(f"user {name}", "user"):
        said = client.enable_user(name)
    Output(json).done(said, user=name, disabled=False)
