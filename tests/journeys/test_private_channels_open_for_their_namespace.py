"""A namespace's credential opens its channel and its index for its own builds, without a restart, for nobody else."""

import base64
import json
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from rattler.index import index_fs

from deploy.local.channel.archive import File, Package, write
from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.engine import python_in, write_simple_index
from tests.fixtures.http_directory import Served, serve_directory
from tests.fixtures.packages import make_wheel
from tests.fixtures.system import System, running_system

PATH_TOKEN = "to-ken-in-the-path"


@dataclass
class Private:
    """`server` (of the channel) and `index` ask for what `authorization` says; `tokens` has it below /t/TOKEN/."""

    system: System
    server: Served
    tokens: Served
    index: Served
    directory: Path

    @property
    def url(self) -> str:
        """Of the channel."""
        return f"{self.server.url}/channel"

    def credential(self, path: str, **body: str) -> None:
        reply = self.system.api.put(f"/api/v1/credential/{path}/", json=body)
        assert reply.status_code == 200, reply.text

    def build(self, namespace: str, channels: list[str], *, name: str, status: str = "COMPLETED", **more: Any) -> Any:
        text = {"name": name, "channels": channels, "dependencies": ["small"], **more}
        build = self.system.wait_build(self.system.submit(text, namespace), status=None)
        assert build["status"] == status, build["status_info"]
        return build


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def private(
    postgres_server: PrivatePostgres,
    migrated_template: str,
    rabbit_server: PrivateRabbit,
    sample_channel: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Private]:
    import asyncio

    directory = tmp_path_factory.mktemp("private")
    channel = directory / "channel"
    for subdir in ("noarch", "linux-64"):
        (channel / subdir).mkdir(parents=True)
    for name in ("small", "jewel"):
        files = {f"share/{name}": File(b"mine\n" * 900)}
        write(Package(name=name, version="1", build_pattern="0", files=files, noarch="generic"), channel)
    asyncio.run(index_fs(channel, write_zst=True, write_shards=True))
    tokens = directory / "tokens" / "t" / PATH_TOKEN
    tokens.mkdir(parents=True)
    (tokens / "private").symlink_to(channel)
    (directory / "wheels").mkdir()
    make_wheel(directory / "wheels", "leaf", {"leaf.py": b"VALUE = 7\n"})
    write_simple_index(directory / "index", list((directory / "wheels").glob("*.whl")))
    name = "private_channels"
    with psycopg.connect(postgres_server.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"')
    with ExitStack() as stack:
        served = [
            stack.enter_context(serve_directory(path))
            for path in (directory, directory / "tokens", directory / "index")
        ]
        system = stack.enter_context(
            running_system(
                database_url=postgres_server.database_url(name),
                amqp_url=rabbit_server.add_virtual_host(f"private-{secrets.token_hex(4)}"),
                channel=sample_channel,
                services=("api", "builder", "packager"),
                CONDARIUM_PIP_INDEX_URL=f"{served[2].url}/simple",
                CONDARIUM_ARTIFACTS="LOCKFILE,LOGS,CONDA_PACK",
                CONDARIUM_MAX_ATTEMPTS="1",
            )
        )
        for namespace in ("team", "other"):
            assert system.api.post(f"/api/v1/namespace/{namespace}/").status_code == 200
        yield Private(system, *served, directory)


def test_every_kind_of_credential_opens_its_channel(private: Private) -> None:
    url = private.url
    shown = {
        "basic": ({"username": "ali", "password": "sesame-one"}, basic("ali", "sesame-one")),
        "bearer": ({"token": "sesame-two"}, "Bearer sesame-two"),
    }
    for kind, (values, authorization) in shown.items():
        private.server.authorization = authorization
        private.credential("team/art", kind=kind, url=url, **values)
        build = private.build("team", [url], name=f"by-{kind}")
        private.system.wait_artifact(build["id"], "CONDA_PACK")
    place = f"{private.tokens.url}/private"
    private.credential("team/path", kind="conda_token", url=private.tokens.url, token=PATH_TOKEN)
    private.build("team", [place], name="by-path")
    assert any(f"/t/{PATH_TOKEN}/" in path for path in private.tokens.seen)
    prefix = private.system.link("by-path", "team")
    assert (prefix / "share" / "small").read_bytes() == b"mine\n" * 900


def test_a_wrong_credential_is_named_and_a_rotated_one_needs_no_restart(private: Private) -> None:
    url = private.url
    private.server.authorization = basic("ali", "before")
    private.credential("team/art", kind="basic", url=url, username="ali", password="before")
    private.build("team", [url], name="rotated")
    # The channel changes its password: what was read with the old one may still be fresh, the new one is needed now.
    private.server.authorization = basic("ali", "after")
    private.credential("team/art", kind="basic", url=url, username="ali", password="mistyped")
    failed = private.build("team", [url], name="rotated", variables={"A": "2"}, status="FAILED")
    assert "credential 'art' of namespace team" in failed["status_info"]
    assert "mistyped" not in json.dumps(failed)
    private.credential("team/art", kind="basic", url=url, username="ali", password="after")
    private.build("team", [url], name="rotated", variables={"A": "2"})


def test_the_longest_prefix_and_then_the_namespace_go_first(private: Private) -> None:
    url = private.url
    private.server.authorization = "Bearer the-right-one"
    private.credential("wide", kind="bearer", url=private.server.url, token="of-the-deployment")
    private.credential("team/art", kind="bearer", url=url, token="the-right-one")
    private.build("team", [url], name="first")
    assert private.system.api.delete("/api/v1/credential/team/art/").status_code == 200
    failed = private.build("team", [url], name="first", variables={"A": "2"}, status="FAILED")
    assert "credential 'wide' of the deployment" in failed["status_info"]
    private.credential("wide", kind="bearer", url=private.server.url, token="the-right-one")
    private.build("other", [url], name="first")
    assert private.system.api.delete("/api/v1/credential/wide/").status_code == 200


def test_another_namespace_gets_nothing_out_of_our_caches(private: Private) -> None:
    """Neither by the channel's name, nor by the digest, which is no secret."""
    url, jewel = private.url, {"dependencies": ["jewel"]}
    private.server.authorization = "Bearer only-for-team"
    private.credential("team/art", kind="bearer", url=url, token="only-for-team")
    mine = private.build("team", [url], name="mine", **jewel)
    private.system.wait_artifact(mine["id"], "CONDA_PACK")

    refused = private.build("other", [url], name="theirs", status="FAILED", **jewel)
    assert "401" in refused["status_info"]
    assert "No credential is set for it" in refused["status_info"]
    private.credential("other/guess", kind="bearer", url=url, token="a-guess-of-theirs")
    refused = private.build("other", [url], name="theirs", status="FAILED", **jewel)
    assert "credential 'guess' of namespace other" in refused["status_info"]

    # A channel of their own, which lists our package by its digest and does not have it.
    evil = private.directory / "evil"
    shutil.copytree(private.directory / "channel", evil, ignore=shutil.ignore_patterns("*.conda"))
    with serve_directory(evil) as served:
        failed = private.build("other", [served.url], name="stolen", status="FAILED", **jewel)
        assert "does not exist" in failed["status_info"]
        assert not (private.system.store / "other" / "envs" / "stolen").exists()
        # Nothing is linked of another platform; the tarball must not come out of pieces that are known.
        build = private.build("other", [served.url], name="stolen", platforms=["osx-arm64"], **jewel)
        reply = private.system.api.get(f"/api/v1/build/{build['id']}/archive/?wait=60")
        assert reply.status_code == 409, reply.text
        assert "does not exist" in reply.json()["message"]

    # Whoever has the right gets it, by a credential of their own.
    private.credential("other/guess", kind="bearer", url=url, token="only-for-team")
    build = private.build("other", [url], name="theirs", platforms=["osx-arm64"], **jewel)
    archive = private.system.api.get(f"/api/v1/build/{build['id']}/archive/?wait=60", follow_redirects=True)
    with tarfile.open(fileobj=BytesIO(archive.content)) as tar:
        assert "share/jewel" in [member.name for member in tar]


def test_a_private_index_opens_by_user_and_by_token(private: Private) -> None:
    wheels = {"dependencies": ["python", {"pip": ["leaf"]}]}
    url = f"{private.index.url}/simple"
    private.index.authorization = basic("ali", "wheels-of-ali")
    refused = private.build("team", ["conda-forge"], name="wheels", status="FAILED", **wheels)
    assert "No credential is set for it" in refused["status_info"]
    assert "CONDARIUM_PIP_INDEX_URL" in refused["status_info"]
    private.credential("team/wheels", kind="index_basic", url=url, username="ali", password="wheels-of-ali")
    private.credential(
        "team/files", kind="index_basic", url=private.index.url, username="ali", password="wheels-of-ali"
    )
    build = private.build("team", ["conda-forge"], name="wheels", **wheels)
    assert python_in(private.system.link("wheels", "team"), "import leaf; print(leaf.VALUE)") == "7"
    private.system.wait_artifact(build["id"], "CONDA_PACK")
    # uv's cache of the index is not for the namespace next door.
    refused = private.build("other", ["conda-forge"], name="wheels", status="FAILED", **wheels)
    assert "No credential is set for it" in refused["status_info"]
    private.index.authorization = basic("__token__", "wheels-token")
    private.credential("other/wheels", kind="index_token", url=private.index.url, token="wrong-token")
    refused = private.build("other", ["conda-forge"], name="wheels", status="FAILED", **wheels)
    assert "credential 'wheels' of namespace other" in refused["status_info"]
    private.credential("other/wheels", kind="index_token", url=private.index.url, token="wheels-token")
    build = private.build("other", ["conda-forge"], name="wheels", **wheels)
    private.system.wait_artifact(build["id"], "CONDA_PACK")
    for build_id in (build["id"], refused["id"]):
        log = private.system.api.get(f"/api/v1/build/{build_id}/logs/", follow_redirects=True).text
        assert "-token" not in log.replace("index_token", "")


def test_a_solve_alone_uses_them_too(private: Private) -> None:
    url = private.url
    private.server.authorization = "Bearer for-solves"
    private.credential("team/art", kind="bearer", url=url, token="for-solves")

    def solve(namespace: str) -> httpx.Response:
        body = {"channel": [url], "conda": ["small"], "namespace": namespace}
        return private.system.api.get("/api/v1/specification/", params=body)

    good = solve("team")
    assert good.status_code == 200, good.text
    assert "small" in good.text
    refused = solve("other")
    assert refused.status_code >= 400
    assert "401" in refused.text
