"""`condarium credential ...`: what they hold comes from a prompt, standard input or a variable, never from the command
line, which others on the machine can read."""

import os
import sys
from typing import Annotated

import typer

from condarium.cli import completion
from condarium.cli.output import Json, Output, Yes, confirm, minute
from condarium.cli.session import connect
from condarium.domain.credential import Kind
from condarium.errors import InvalidInput

app = typer.Typer(help="Credentials of channels, package indexes and registries.", no_args_is_help=True)

Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", help="Whose it is; by default the deployment's.", autocompletion=completion.namespaces
    ),
]


@app.command("list")
def list_credentials(namespace: Namespace = "", json: Json = False) -> None:
    """Lists credentials, never what they hold."""
    with connect() as client:
        rows = client.credentials(namespace)
    Output(json).rows(
        rows,
        {
            "name": lambda row: row.name,
            "namespace": lambda row: row.namespace or "(deployment)",
            "kind": lambda row: row.kind,
            "url": lambda row: row.url,
            "updated (UTC)": lambda row: f"{minute(row.updated_on)} {row.updated_by}",
            "": lambda row: "" if row.readable else "sealed under a lost secret: set it anew",
        },
    )


@app.command("set")
def set_credential(
    name: Annotated[str, typer.Argument(help="What it is called")],
    url: Annotated[str, typer.Option(help="The prefix of what it opens.")],
    kind: Annotated[Kind, typer.Option(help="How it is shown to the server.")] = Kind.BEARER,
    namespace: Namespace = "",
    username: Annotated[str | None, typer.Option(help="For kinds that end in `basic`.")] = None,
    from_env: Annotated[str | None, typer.Option(help="The variable that holds the password or token.")] = None,
    json: Json = False,
) -> None:
    """Sets a credential; it holds from the next build on. The password or token is asked for, or read from standard
    input."""
    basic = "username" in kind.fields
    if basic and not username:
        raise InvalidInput(f"the kind {kind.value} has a user: give --username")
    if username and not basic:
        raise InvalidInput(f"the kind {kind.value} has no user: leave --username out")
    value = secret("password" if basic else "token", from_env)
    values = {"username": username, "password": value} if basic else {"token": value}
    with connect() as client:
        made = client.put_credential(
            name, kind=kind.value, url=url, namespace=namespace, **{key: text or "" for key, text in values.items()}
        )
    Output(json).done(f"credential {name} opens {made.url}", **made.to_json())


def secret(what: str, variable: str | None = None) -> str:
    """From a variable, from standard input, or typed without being shown. Raises InvalidInput."""
    if variable is not None:
        if not os.environ.get(variable):
            raise InvalidInput(f"the variable {variable} is not set")
        return os.environ[variable]
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True))
    found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise InvalidInput(f"no {what} came over standard input")
    return found


@app.command("delete")
def delete(
    name: Annotated[str, typer.Argument(help="What it is called")],
    namespace: Namespace = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Deletes a credential. Builds that run go on with it."""
    if not yes:
        confirm(f"Delete the credential {name}?")
    with connect() as client:
        client.delete_credential(name, namespace=namespace)
    Output(json).done(f"credential {name} is deleted", deleted=name)
