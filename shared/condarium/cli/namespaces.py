"""`condarium namespace ...`, and the roles that namespaces give."""

import json as json_format
from typing import Annotated, Any

import typer

from condarium.cli import completion
from condarium.cli.output import Json, Output, Yes, confirm
from condarium.cli.session import connect, naming
from condarium.cli.tokens import parse_bindings
from condarium.client import Conflicting
from condarium.errors import InvalidInput

app = typer.Typer(help="Namespaces, and who may do what in them.", no_args_is_help=True)
role = typer.Typer(help="Roles that a namespace gives to the members of another one.", no_args_is_help=True)
app.add_typer(role, name="role")

Name = Annotated[str, typer.Argument(help="A namespace", autocompletion=completion.namespaces)]
Other = Annotated[
    str, typer.Argument(help="The namespace whose members it is about", autocompletion=completion.namespaces)
]


@app.command("list")
def list_namespaces(json: Json = False) -> None:
    """Lists the namespaces of which you see anything."""
    with connect() as client:
        rows = list(client.namespaces())
    Output(json).rows(rows, {"namespace": lambda row: row.name})


@app.command("show")
def show(name: Name, json: Json = False) -> None:
    """Shows a namespace: its metadata, its role mappings, the roles it gives."""
    with connect() as client, naming(f"namespace {name}", "namespace"):
        found = client.namespace(name)
    if json:
        Output(json).value(found)
        return
    Output(json).details(
        {
            "namespace": found.name,
            "metadata": json_format.dumps(found.metadata_, ensure_ascii=False),
            "mappings": "\n".join(f"{row.entity}: {row.role}" for row in found.role_mappings),
        }
    )


@app.command("create")
def create(name: Annotated[str, typer.Argument(help="Of the new namespace")], json: Json = False) -> None:
    """Makes a namespace."""
    with connect() as client:
        client.create_namespace(name)
    Output(json).done(f"namespace {name} is there", namespace=name)


@app.command("update")
def update(
    name: Name,
    metadata: Annotated[str | None, typer.Option(help="A JSON object, which replaces what is there.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(help="ARN=ROLE[,ROLE] such as 'team/*=viewer'; may be repeated; replaces all mappings."),
    ] = None,
    no_mappings: Annotated[bool, typer.Option("--no-mappings", help="Take all mappings away.")] = False,
    json: Json = False,
) -> None:
    """Changes the metadata of a namespace, and the roles that its own members have."""
    if metadata is None and not mapping and not no_mappings:
        raise InvalidInput("nothing to change: give --metadata, --mapping or --no-mappings")
    mappings = (parse_bindings(mapping or []) or {}) if mapping or no_mappings else None
    with connect() as client, naming(f"namespace {name}", "namespace"):
        client.update_namespace(name, metadata=_object(metadata), role_mappings=mappings)
    Output(json).done(f"namespace {name} is updated", namespace=name)


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json_format.loads(text)
    except ValueError as error:
        raise InvalidInput(f"--metadata is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput('--metadata: a JSON object is wanted, such as \'{"team": "data"}\'')
    return found


@app.command("delete")
def delete(name: Name, yes: Yes = False, json: Json = False) -> None:
    """Deletes a namespace with all its environments."""
    with connect() as client, naming(f"namespace {name}", "namespace"):
        if not yes:
            client.namespace(name)
            confirm(f"Delete the namespace {name} with all its environments?")
        client.delete_namespace(name)
    Output(json).done(f"namespace {name} is deleted", deleted=name)


@role.command("list")
def list_roles(name: Name, json: Json = False) -> None:
    """Lists to whose members a namespace gives roles."""
    with connect() as client, naming(f"namespace {name}", "namespace"):
        rows = client.roles(name)
    Output(json).rows(rows, {"members of": lambda row: row.other_namespace, "role": lambda row: row.role})


@role.command("set")
def set_role(
    name: Name,
    other: Other,
    word: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, developer or admin")],
    json: Json = False,
) -> None:
    """Gives the members of another namespace a role here, or another one than they have."""
    with connect() as client, naming(f"namespace {name}", "namespace"):
        try:
            client.give_role(name, other, word)
        except Conflicting:
            client.change_role(name, other, word)
    Output(json).done(f"members of {other} have the role {word} in {name}", namespace=name, other=other, role=word)


@role.command("unset")
def unset_role(
    name: Name,
    other: Annotated[str | None, typer.Argument(help="Whose members; without it, all")] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Takes roles back that a namespace gave."""
    with connect() as client, naming(f"namespace {name}", "namespace"):
        if other is not None:
            client.take_role(name, other)
        else:
            if not yes:
                confirm(f"Take back all roles that {name} gives?")
            client.take_roles(name)
    Output(json).done(f"{name} gives no role to {other or 'others'} any more", namespace=name, other=other)
