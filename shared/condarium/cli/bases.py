"""`condarium base ...`: what images stand on."""

from typing import Annotated

import typer

from condarium.cli.output import Json, Output, minute
from condarium.cli.session import connect

app = typer.Typer(
    help="Base images. They are pulled and imported on a machine of the installation: "
    "python -m services.packager.bases --help",
    no_args_is_help=True,
)


@app.command("list")
def list_base_images(json: Json = False) -> None:
    """Lists the base images that are stored."""
    with connect() as client:
        rows = client.base_images()
    Output(json).rows(
        rows,
        {
            "id": lambda row: str(row.id),
            "platform": lambda row: row.platform,
            "name": lambda row: row.name or "",
            "size": lambda row: f"{row.size / 1e6:.1f} MB",
            "from": lambda row: row.source or "",
            "since (UTC)": lambda row: f"{minute(row.created_on)} {row.created_by}",
            "": lambda row: "default" if row.is_default else "",
        },
    )


@app.command("default")
def choose_base_image(
    base_image: Annotated[int, typer.Argument(help="Its id.", min=1)],
    json: Json = False,
) -> None:
    """Lets images of its platform stand on this base from the next build on."""
    with connect() as client:
        chosen = client.choose_base_image(base_image)
    Output(json).done(f"images for {chosen.platform} stand on base image {chosen.id} from now on", **chosen.to_json())
