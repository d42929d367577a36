"""`condarium login`, `logout`, `whoami`, `status`: which server, and who one is there."""

import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from condarium import config
from condarium.cli import codes, logins
from condarium.cli.credentials import secret
from condarium.cli.output import Json, Output, minute, say
from condarium.cli.session import connect, server, setting, token_for
from condarium.client import ApiError, Client, Refused
from condarium.errors import InvalidInput

Url = Annotated[str | None, typer.Argument(help="The gateway's address; by default the one that commands use")]


def _address(url: str | None) -> str:
    """Raises InvalidInput."""
    if url is None:
        return server()
    try:
        return str(config.REGISTER["CONDARIUM_API_URL"].parse(url))
    except ValueError as error:
        raise InvalidInput(f"{url!r} is no server: write {error}, such as https://condarium.example.org") from None


def login(
    url: Url = None,
    username: Annotated[
        str | None, typer.Option("--username", "-u", help="Log in as somebody; without it, a token is asked for.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(min=0.01, help="With --username: how long it lasts; by default as the server has it."),
    ] = None,
    json: Json = False,
) -> None:
    """Logs in and keeps a token for the server, in a file that only you can read.

    The token, or with --username the password, is asked for, or read from standard input. Commands then use this
    server; CONDARIUM_API_URL and CONDARIUM_TOKEN win over it.
    """
    address = _address(url)
    if username is None:
        token, token_id = secret("token"), None
    else:
        token, token_id = _made(address, username, secret("password"), days)
    with Client(address, token=token) as client:
        found = client.permission()
    if not found.authenticated:
        raise Refused(f"{address} does not know this token: it is wrong, ended or revoked", 403)
    until = found.expiration
    place = logins.keep(address, token, token_id=token_id, expires_on=until.isoformat() if until else None)
    said = (
        f"logged in to {address} as {found.condarium.name}"
        + (f" until {minute(until)} UTC" if until else "")
        + f"; kept in {place}"
    )
    Output(json).done(
        said,
        url=address,
        file=str(place),
        primary_namespace=found.primary_namespace,
        expiration=found.to_json()["expiration"],
    )
    if setting("TOKEN"):
        say("CONDARIUM_TOKEN is set, and wins over this login")


def _made(url: str, username: str, password: str, days: float | None) -> tuple[str, int]:
    """A token of this machine's own, made with a login that ends at once. Raises ApiError."""
    with Client(url) as client:
        client.log_in(username, password)
        try:
            made = client.create_token(
                name=f"condarium login on {socket.gethostname()}"[:100],
                expires_on=datetime.now(UTC) + timedelta(days=days) if days is not None else None,
            )
        finally:
            with suppress(ApiError):
                client.log_out()
    return made.token, made.condarium.id


def logout(url: Url = None, json: Json = False) -> None:
    """Forgets the token of a server; ends it where `login --username` had made it."""
    address = _address(url)
    known = logins.forget(address)
    if known is None:
        raise InvalidInput(f"there is no login for {address} in {logins.file()}")
    ended = False
    if known.get("token_id") is not None:
        try:
            with Client(address, token=str(known["token"]), tries=1, timeout=10) as client:
                client.revoke_token(int(known["token_id"]))
            ended = True
        except ApiError as error:
            say(f"the token is forgotten here, but not ended: {error}")
    Output(json).done(f"logged out of {address}", url=address, revoked=ended)


def whoami(json: Json = False) -> None:
    """Shows what you may do where; ends with 3 when the server does not know you."""
    with connect() as client:
        found = client.permission()
    if json:
        Output(json).value({"url": server(), **found.to_json()})
    else:
        Output(json).details(
            {
                "server": server(),
                "you are": found.condarium.name,
                "namespace": found.primary_namespace,
                "until": f"{minute(found.expiration)} UTC" if found.expiration else "",
                "roles": "\n".join(f"{arn}: {', '.join(roles)}" for arn, roles in found.entity_roles.items()),
            }
        )
    if not found.authenticated:
        raise typer.Exit(codes.REFUSED)


def status(json: Json = False) -> None:
    """Shows which server is used, its version, and which of its parts are away (then it ends with 5)."""
    url = server()
    with Client(url, token=token_for(url), tries=1) as client:
        ready, version = client.readiness(), client.version()
    if json:
        Output(json).value({"url": url, "version": version, "readiness": ready})
    else:
        Output(json).details(
            {
                "server": url,
                "version": f"{version.condarium.version} (the contract of conda-store {version.version})",
                "state": ready.status,
                "away": "\n".join(f"{part}: {reason}" for part, reason in ready.away.items()) or "nothing",
            }
        )
    if ready.status != "ready":
        raise typer.Exit(codes.AWAY)
