"""The private database as a file, and back: how data is carried over to another major version of Postgres."""

import subprocess
from pathlib import Path

import psycopg

from deploy.local.postgres import PrivatePostgres, binaries
from deploy.local.problem import LocalProblem


def dump(server: PrivatePostgres, file: Path) -> None:
    """Write the whole database to `file` as SQL; the file is there only when it is complete.

    Raises:
        LocalProblem: with what pg_dump said.
    """
    unfinished = file.with_name(f"{file.name}.unfinished")
    _run("pg_dump", "--no-owner", f"--file={unfinished}", server=server)
    unfinished.chmod(0o600)
    unfinished.replace(file)


def restore(server: PrivatePostgres, file: Path) -> None:
    """Fill the empty database from `file`, all of it or nothing.

    Raises:
        LocalProblem: there is no such file, the database is not empty, or psql says no.
    """
    if not file.is_file():
        raise LocalProblem(f"there is no file {file}")
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    if row and row[0]:
        raise LocalProblem(
            f"the database in {server.directory} is not empty; run `make down`, move that directory away, and try again"
        )
    options = ("--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", f"--file={file}")
    _run("psql", "--no-psqlrc", *options, server=server)


def _run(program: str, *options: str, server: PrivatePostgres) -> None:
    command = [str(binaries() / "bin" / program), *options]
    connection = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "condarium",
        "PGDATABASE": "condarium",
        "PGPASSWORD": server.password,
    }
    environment = {**server.environment(), **connection}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise LocalProblem(f"{program} failed: {done.stderr.strip()}")
