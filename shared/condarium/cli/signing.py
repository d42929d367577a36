"""`condarium signing-key ...`, `condarium env sbom`: what images are signed with, and what is in them."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from condarium.cli import completion, references
from condarium.cli.output import Json, Output, Yes, confirm, minute
from condarium.cli.session import connect
from condarium.errors import InvalidInput

app = typer.Typer(help="The keys that sign images.", no_args_is_help=True)


class Form(StrEnum):
    """Of a bill of materials."""

    SPDX = "spdx"
    CYCLONEDX = "cyclonedx"


@app.command("list")
def list_keys(json: Json = False) -> None:
    """Lists the public keys, the present one first."""
    with connect() as client:
        rows = client.signing_keys()
    Output(json).rows(
        rows,
        {
            "fingerprint": lambda row: row.fingerprint[:16],
            "state": lambda row: row.state,
            "made (UTC)": lambda row: f"{minute(row.created_on)} {row.created_by}",
            "retired (UTC)": lambda row: f"{minute(row.retired_on)} {row.retired_by}" if row.retired_on else "",
        },
    )


@app.command("show")
def show(
    fingerprint: Annotated[str, typer.Argument(help="How it begins; by default the present key")] = "",
) -> None:
    """Prints a public key in PEM: `condarium signing-key show > condarium.pub`, for `cosign verify --key`."""
    with connect() as client:
        rows = client.signing_keys()
    found = [row for row in rows if row.fingerprint.startswith(fingerprint.lower())]
    if not found:
        raise InvalidInput("there is no such key; `condarium signing-key list` shows all")
    print(found[0].public_key, end="")


@app.command("rotate")
def rotate(yes: Yes = False, json: Json = False) -> None:
    """Makes a new key, which signs from now on. What the others have signed stays valid."""
    if not yes:
        confirm("Make a new signing key? Everybody who checks images needs it.")
    with connect() as client:
        made = client.rotate_signing_key()
    Output(json).done(f"{made.fingerprint[:16]} signs from now on", **made.to_json())


@app.command("sign")
def sign(json: Json = False) -> None:
    """Has the images signed that another key has signed; the old signatures stay."""
    with connect() as client:
        count = client.sign_again()
    Output(json).done(f"the images of {count} builds are being signed", builds=count)


def sbom(
    environment: Annotated[
        str,
        typer.Argument(
            help="NAME or NAMESPACE/NAME, also with :REFERENCE as images have it; or a build's number",
            autocompletion=completion.environments,
        ),
    ],
    form: Annotated[Form, typer.Option("--format", help="SPDX 2.3 or CycloneDX 1.6, in JSON.")] = Form.SPDX,
    platform: Annotated[str, typer.Option(help="One platform, such as linux-64; by default all.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; without it, standard output")] = None,
) -> None:
    """The bill of materials of an environment: its packages, their licences and hashes."""
    with connect() as client:
        build = references.resolve(client, environment)
        text = client.sbom(build.id, format=form.value, platform=platform)
    if output is None or str(output) == "-":
        sys.stdout.write(text + "\n")
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}") from None
