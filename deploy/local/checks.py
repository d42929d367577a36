"""What is compared before anything starts on existing data; each refusal names the command to run."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg

from condarium.database import check_schema, migrate
from condarium.errors import ConfigError
from deploy.local.infrastructure import Infrastructure
from deploy.local.layout import Layout
from deploy.local.postgres import binaries_major
from deploy.local.problem import LocalProblem
from deploy.local.state import State

# How prefixes and blobs lie on disk. A store that another format wrote is not touched.
STORE_FORMAT = 1


def check_store_format(layout: Layout) -> None:
    """Mark a new store, refuse one of another format.

    Raises:
        LocalProblem: the store was written in another format.
    """
    mark = layout.data / "store-format"
    if not mark.exists():
        mark.write_text(f"{STORE_FORMAT}\n")
    found = mark.read_text().strip()
    if found != str(STORE_FORMAT):
        raise LocalProblem(
            f"the store in {layout.data} has format {found}, this release reads and writes format {STORE_FORMAT}; "
            "run the release that wrote it, or start on fresh data: CONDARIUM_DATA_DIR=/another/directory make up"
        )


def check_storage(kept: State, values: Mapping[str, str], *, moved: bool) -> None:
    """Remember where the bytes of a database are, refuse to look for them elsewhere; `moved` says that they moved.

    Raises:
        LocalProblem: the same database, another storage.
    """
    database, storage = _place(values["CONDARIUM_DATABASE_URL"]), _place(values["CONDARIUM_STORAGE_URL"])
    if kept.storage not in (None, storage) and kept.database == database and not moved:
        raise LocalProblem(
            f"what this database knows of is stored in {kept.storage}, and would be looked for in {storage}. "
            "Set CONDARIUM_STORAGE and CONDARIUM_STORAGE_URL as before; or use fresh data: "
            "CONDARIUM_DATA_DIR=/another/directory make up; or, once everything is copied: STORAGE_MOVED=yes make up"
        )
    kept.database, kept.storage = database, storage


def _place(url: str) -> str:
    """An address without credentials, and without a port where that is ours to choose."""
    parts = urlsplit(url)
    host = "this machine" if parts.hostname == "127.0.0.1" else f"{parts.hostname or ''}:{parts.port or ''}".strip(":")
    return f"{parts.scheme}://{host}{parts.path}"


def check_postgres_major(infrastructure: Infrastructure) -> None:
    """Refuse data that another major version of Postgres wrote.

    Raises:
        LocalProblem: with how to carry the data over.
    """
    if infrastructure.postgres is None:
        return
    found, have = infrastructure.postgres.data_major(), binaries_major()
    if found in (None, have):
        return
    directory = infrastructure.postgres.directory
    raise LocalProblem(
        f"the database in {directory} was written by Postgres {found}, this release brings Postgres {have}. "
        f"Carry it over: with the release that wrote it run `make up dump FILE=/tmp/condarium.sql && make down`, then "
        f"`mv {directory} {directory}-{found}`, and here `make restore FILE=/tmp/condarium.sql && make up`"
    )


def check_or_make_schema(url: str, *, bring_up_to_date: bool = False) -> str:
    """Make the schema of an empty database, compare that of a used one; returns what was done, in words.

    A schema that is behind is changed only when the caller asked for that (`make migrate`).

    Raises:
        LocalProblem: no connection, or a schema that is behind (run `make migrate`) or ahead of this release.
    """
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    except psycopg.OperationalError as error:
        where = url.rpartition("@")[2]
        raise LocalProblem(
            f"the database at {where} does not answer: {str(error).strip()}. If CONDARIUM_DATABASE_URL comes from an "
            "old .local/condarium.env, unset it"
        ) from error
    if row is None or row[0] is None:
        migrate(url)
        return "made"
    if bring_up_to_date:
        migrate(url)
    try:
        check_schema(url)
    except ConfigError as error:
        raise LocalProblem(str(error).replace("python -m condarium.database migrate", "make migrate")) from error
    return "is current"
