"""The client `conda-store` from PyPI, each of its commands, against a running system with more rows than a page has."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from benchmarks import rows
from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.system import TOKEN, System, running_system

pytestmark = pytest.mark.system

COMMAND = Path(sys.executable).parent / "conda-store"
SPECIFICATION = """\
name: real
description: what the client fetches
channels: [conda-forge]
dependencies:
  - python
  - click
variables:
  GREETING: hello there
"""
#: of each kind there are at least as many; a page has 100
MANY = 250


@dataclass
class Client:
    """The command, as `auth` says who: none, token or basic. `url` has no slash at its end."""

    url: str
    home: Path
    auth: str = "token"
    token: str = TOKEN

    def attempt(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "COLUMNS": "200",
            "CONDA_STORE_URL": self.url,
            "CONDA_STORE_AUTH": self.auth,
            "CONDA_STORE_TOKEN": self.token,
            "CONDA_STORE_USERNAME": "somebody",
            "CONDA_STORE_PASSWORD": self.token,
        }
        return subprocess.run(
            [COMMAND, *arguments], env=variables | environ, cwd=self.home, capture_output=True, text=True, timeout=120
        )

    def run(self, *arguments: str, **environ: str) -> str:
        done = self.attempt(*arguments, **environ)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("list", *arguments, "--output", "json"))
        return found


@dataclass
class Filled:
    """A system; `build` is a build with every artifact, beside which there are rows that nobody built."""

    system: System
    build: int
    database_url: str

    def settle(self) -> None:
        """Until everything is made of the build."""
        for artifact in ("LOCKFILE", "YAML", "LOGS", "CONDA_PACK", "DOCKER_MANIFEST"):
            self.system.wait_artifact(self.build, artifact)

    def ask(self, statement: str) -> list[Any]:
        """The first column."""
        with psycopg.connect(self.database_url) as connection:
            return [row[0] for row in connection.execute(statement.encode())]


@pytest.fixture(scope="module")
def filled(
    postgres_server: PrivatePostgres,
    migrated_template: str,
    rabbit_server: PrivateRabbit,
    sample_channel: Path,
    base_image_directory: Path,
) -> Iterator[Filled]:
    name = "conda_store_client"
    with psycopg.connect(postgres_server.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"'.encode())
    url = postgres_server.database_url(name)
    with running_system(
        database_url=url,
        amqp_url=rabbit_server.add_virtual_host("conda-store-client"),
        channel=sample_channel,
        CONDARIUM_BASE_IMAGE=str(base_image_directory),
    ) as system:
        build = system.submit(SPECIFICATION)
        rows.fill(url, environments=MANY + 5, builds=MANY + 5, namespaces=MANY)
        yield Filled(system, build, url)


@pytest.fixture
def client(filled: Filled, tmp_path: Path) -> Client:
    return Client(filled.system.url, tmp_path)


@pytest.mark.parametrize("artifact", ["build", "lockfile", "yaml", "archive", "docker"])
def test_wait(filled: Filled, client: Client, artifact: str) -> None:
    client.run("wait", str(filled.build), "--artifact", artifact, "--interval", "1", "--timeout", "100")


def test_wait_says_that_a_build_has_failed(filled: Filled, client: Client) -> None:
    (failed, *_) = filled.ask("select id from builds where status = 'FAILED' order by id")
    done = client.attempt("wait", str(failed), "--interval", "1")
    assert (done.returncode, done.stderr.strip()) == (1, f"Build {failed} failed")


def test_info(client: Client) -> None:
    shown = client.run("info")
    assert "Default namespace is default" in shown
    assert "Authenticated True" in shown
    assert "environment::create" in shown
    client.auth = "none"
    anonymous = client.run("info")
    assert "Authenticated False" in anonymous
    assert "environment::read" in anonymous
    assert "environment::create" not in anonymous


@pytest.mark.parametrize("prefix", ["", "/conda-store", "/conda-store/"])
@pytest.mark.parametrize("auth", ["none", "token", "basic"])
def test_every_kind_of_login_under_every_address(filled: Filled, client: Client, auth: str, prefix: str) -> None:
    # The client's cookies are not kept for addresses of numbers.
    client.url = f"http://localhost:{filled.system.api_port}{prefix}"
    client.auth = auth
    assert f"Authenticated {auth != 'none'}" in client.run("info")
    seen = {each["name"] for each in client.listed("namespace")}
    assert (seen == {"default"}) == (auth == "none")


def test_a_wrong_password_is_refused_and_a_wrong_token_is_anonymous(filled: Filled, client: Client) -> None:
    client.url, client.token, client.auth = f"http://localhost:{filled.system.api_port}", "wrong", "basic"
    assert "403" in client.attempt("info").stderr
    client.auth = "token"
    assert "Authenticated False" in client.run("info")


def _permission(filled: Filled, token: str) -> dict[str, Any]:
    found = httpx.get(f"{filled.system.url}/api/v1/permission/", headers={"Authorization": f"Bearer {token}"})
    return dict(found.json()["data"])


def test_a_token_for_a_while_and_for_less(filled: Filled, client: Client) -> None:
    asked = ("--namespace", "team-00001", "--expiration", "3600", "--permission", "team-00001/*:viewer")
    token = client.run("token", *asked, "--permission", "team-00002/env*:editor,viewer")
    shown = _permission(filled, token)
    assert shown["authenticated"] is True
    assert shown["primary_namespace"] == "team-00001"
    assert "viewer" in shown["entity_roles"]["team-00001/*"]
    ends = datetime.fromisoformat(shown["expiration"])
    assert abs(ends - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=2)
    client.token = token
    names = {each["name"] for each in client.listed("namespace")}
    assert names == {"default", "team-00001", "team-00002"}
    # What it may it gives on, and no more.
    assert client.run("token").count(".") == 2
    refused = client.attempt("token", "--permission", "*/*:admin")
    assert refused.returncode == 1
    assert "not a subset of current permissions" in refused.stderr


def test_a_token_like_its_owner(filled: Filled, client: Client) -> None:
    shown = _permission(filled, client.run("token"))
    assert shown["entity_roles"]["*/*"] == ["admin"]
    late = client.attempt("token", "--expiration", str(400 * 24 * 3600))
    assert (late.returncode, late.stdout) == (1, "")


@pytest.mark.parametrize(
    ("kind", "table"), [("namespace", "namespaces"), ("environment", "environments"), ("build", "builds")]
)
def test_lists_of_more_than_two_pages_are_whole(filled: Filled, client: Client, kind: str, table: str) -> None:
    wanted = filled.ask(f"select id from {table} where deleted_on is null")
    found = client.listed(kind)
    assert len(wanted) >= MANY
    assert sorted(each["id"] for each in found) == sorted(wanted)
    shown = client.run("list", kind)
    assert shown.count("\n") > MANY


HAS = {
    ("--status", "COMPLETED"): "b.status = 'COMPLETED'",
    ("--status", "FAILED"): "b.status = 'FAILED'",
    ("--status", "QUEUED"): "b.status = 'QUEUED'",
    ("--artifact", "LOCKFILE"): "b.id = {build}",
    ("--artifact", "DOCKER_MANIFEST"): "b.id = {build}",
    ("--artifact", "DIRECTORY"): "false",
    ("--package", "python"): "b.id = {build}",
    ("--package", "python", "--package", "click"): "b.id = {build}",
    ("--package", "python", "--package", "no-such-package"): "false",
    ("--status", "COMPLETED", "--artifact", "YAML", "--package", "click", "--package", "python"): "b.id = {build}",
    ("--status", "FAILED", "--package", "click"): "false",
}


@pytest.mark.parametrize("filters", HAS, ids=" ".join)
def test_filters(filled: Filled, client: Client, filters: tuple[str, ...]) -> None:
    filled.settle()
    condition = HAS[filters].format(build=filled.build)
    builds = client.listed("build", *filters)
    assert sorted(each["id"] for each in builds) == sorted(filled.ask(f"select b.id from builds b where {condition}"))
    assert all(each["size"].endswith("B") for each in builds)
    environments = client.listed("environment", *filters)
    current = f"select e.id from environments e join builds b on b.id = e.current_build_id where {condition}"
    assert sorted(each["id"] for each in environments) == sorted(filled.ask(current))


URIS: list[Callable[[int], str]] = [str, lambda build: "default/real", lambda build: f"default/real:{build}"]


@pytest.mark.parametrize("uri", URIS, ids=["id", "name", "name and id"])
def test_each_way_to_name_a_build(filled: Filled, client: Client, uri: Callable[[int], str]) -> None:
    filled.settle()
    written = Path(client.run("download", uri(filled.build), "--artifact", "yaml"))
    assert written == client.home / f"build-{filled.build}.yaml"
    assert "click" in written.read_text()


def test_what_does_not_exist_is_a_sentence(filled: Filled, client: Client) -> None:
    (stranger, *_) = filled.ask("select max(id) from builds")
    for uri in ("999999", "default/nothing", "default/nothing:1", f"default/real:{stranger}"):
        done = client.attempt("download", uri)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr, done.stderr


def test_every_artifact_is_downloaded(filled: Filled, client: Client) -> None:
    def fetched(artifact: str, *more: str) -> bytes:
        return Path(client.run("download", "default/real", "--artifact", artifact, *more)).read_bytes()

    filled.settle()
    assert b"python" in fetched("logs", "--output-filename", "real.log")
    assert b"GREETING" in fetched("yaml")
    lock = json.loads(fetched("lockfile"))
    assert {"python", "click"} <= {each["name"] for each in lock["package"]}
    with tarfile.open(fileobj=io.BytesIO(fetched("archive")), mode="r:gz") as archive:
        assert {"bin/activate", "bin/conda-unpack", "bin/python"} <= set(archive.getnames())


def test_run_unpacks_and_runs(filled: Filled, client: Client) -> None:
    filled.settle()
    code = "import click, os, sys; print(os.environ['GREETING'], sys.prefix, len(sys.argv))"
    shown = client.run("run", "default/real", "--", "python", "-c", code, "one two", "$HOME")
    prefix = client.home / "conda-store" / str(filled.build)
    assert shown.strip() == f"hello there {prefix} 3"
    assert client.run("run", str(filled.build), "--", "python", "-c", "print(6 * 7)").strip() == "42"
    assert client.attempt("run", f"default/real:{filled.build}", "--", "python", "-c", "exit(3)").returncode == 3


def test_solve(client: Client) -> None:
    asked = client.home / "environment.yml"
    asked.write_text("channels: [conda-forge]\ndependencies:\n  - python\n  - numpy>=1\n  - pip:\n    - cowsay==6.1\n")
    found = {each["name"]: each for each in json.loads(client.run("solve", str(asked), "--output", "json"))}
    assert {"python", "numpy"} <= set(found)
    assert found["numpy"]["version"]
    shown = client.run("solve", str(asked))
    assert "Total Size" in shown
    assert "numpy" in shown
