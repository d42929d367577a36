"""`oci://registry/namespace/environment` is a conda channel: rattler solves and installs from it."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import zstandard

from condarium.domain.lock import Lock
from condarium.storage import blob_key
from tests.fixtures.oci_front import HOST, tls_front
from tests.fixtures.packager import running_packager
from tests.fixtures.packages import Put, archive_of, lock_of, make_package
from tests.fixtures.registry import TOKEN, RunningRegistry, running_registry

INSTALL = """
import asyncio, json, os, sys
from rattler import Channel, Gateway, Subdir, install, solve
from rattler.networking import AuthenticationMiddleware, Client

channel, directory, specs = sys.argv[1], sys.argv[2], sys.argv[3:]

async def main():
    client = Client.default_client(max_retries=0)
    gateway = Gateway(cache_dir=f"{directory}/repodata", client=client)
    records = await solve(
        sources=[Channel(channel)], specs=specs, gateway=gateway, platforms=["linux-64", "noarch"], virtual_packages=[]
    )
    await install(
        records, target_prefix=f"{directory}/prefix", cache_dir=f"{directory}/packages", platform=Subdir("linux-64"),
        client=client, show_progress=False,
    )
    print(json.dumps(sorted(record.url for record in records)))

asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # rattler's threads may crash the interpreter while it ends
"""


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """Names and versions that no repository and no tag may have as they are; both formats; noarch."""
    directory = tmp_path / "channel"
    directory.mkdir()
    mutex = make_package(directory, "_some_mutex", [Put("share/mutex", b"1")], version="1!2.0+local")
    old = make_package(directory, "old", [Put("bin/old", b"#!/bin/sh\n", mode=0o755)], suffix=".tar.bz2")
    plain = make_package(directory, "plain", [Put("share/plain", b"p")], noarch="generic", depends=["_some_mutex"])
    return lock_of([mutex, old, plain])


@pytest.fixture
def channel(database_url: str, storage_dir: Path, tmp_path: Path, lock: Lock) -> Iterator[RunningRegistry]:
    """default/tools and secret/tools, of the same packages."""
    with running_registry(database_url, storage_dir, trusted_proxies=("127.0.0.1",)) as registry:
        for namespace in ("default", "secret"):
            made = registry.submit("tools", namespace=namespace)
            registry.solve(made.build_id, lock)
            registry.complete(made.build_id)
        with running_packager(registry, tmp_path / "cache", poll_seconds=30.0):
            yield registry


def run_rattler(
    environ: dict[str, str], directory: Path, channel: str, *specs: str
) -> subprocess.CompletedProcess[str]:
    directory.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.run(
        [sys.executable, "-c", INSTALL, channel, str(directory), *specs],
        env={**kept, "HOME": str(directory), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_rattler_solves_and_installs_an_environment(channel: RunningRegistry, tmp_path: Path) -> None:
    with tls_front(channel.address, tmp_path) as front:
        done = run_rattler(front.environ, tmp_path / "one", f"oci://{HOST}/default/tools", "plain", "old")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        f"oci://{HOST}/default/tools/linux-64/_some_mutex-1!2.0+local-0.conda",
        f"oci://{HOST}/default/tools/linux-64/old-1.0-0.tar.bz2",
        f"oci://{HOST}/default/tools/noarch/plain-1.0-0.conda",
    ]
    prefix = tmp_path / "one/prefix"
    assert (prefix / "share/mutex").read_bytes() == b"1"
    assert (prefix / "share/plain").read_bytes() == b"p"
    assert os.access(prefix / "bin/old", os.X_OK)
    assert any("/linux-64/zzz_some_mutex/blobs/sha256:" in line for line in front.asked)


def test_a_private_environment_is_installed_from_with_a_login_only(channel: RunningRegistry, tmp_path: Path) -> None:
    address = f"oci://{HOST}/secret/tools"
    with tls_front(channel.address, tmp_path) as front:
        refused = run_rattler(front.environ, tmp_path / "no", address, "old")
        assert refused.returncode != 0
        logins = tmp_path / "logins.json"
        logins.write_text(json.dumps({HOST: {"BasicHTTP": {"username": "me", "password": TOKEN}}}))
        environ = front.environ | {"RATTLER_AUTH_FILE": str(logins)}
        done = run_rattler(environ, tmp_path / "yes", address, "old")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "yes/prefix/bin/old").exists()


def test_a_manifest_names_the_archive_and_its_metadata(channel: RunningRegistry, lock: Lock) -> None:
    found = channel.http.get("/v2/default/tools/linux-64/zzz_some_mutex/manifests/1__e__2.0__p__local-0")
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == "application/vnd.oci.image.manifest.v1+json"
    assert found.headers["docker-content-digest"] == f"sha256:{hashlib.sha256(found.content).hexdigest()}"
    record = next(each for each in lock.conda if each.name == "_some_mutex")
    layers = {layer["mediaType"]: layer for layer in found.json()["layers"]}
    archive = layers["application/vnd.conda.package.v2"]
    assert (archive["digest"], archive["size"]) == (f"sha256:{record.sha256}", record.size)

    def fetch(kind: str) -> bytes:
        digest = layers[kind]["digest"]
        reply = channel.http.get(f"/v2/default/tools/linux-64/zzz_some_mutex/blobs/{digest}")
        assert reply.status_code == 200
        assert len(reply.content) == layers[kind]["size"]
        assert f"sha256:{hashlib.sha256(reply.content).hexdigest()}" == digest
        return reply.content

    assert fetch("application/vnd.conda.package.v2") == Path(unquote(str(archive_of(record)))).read_bytes()
    assert json.loads(fetch("application/vnd.conda.info.index.v1+json"))["name"] == "_some_mutex"
    with tarfile.open(fileobj=io.BytesIO(fetch("application/vnd.conda.info.v1.tar+gzip"))) as info:
        assert {"index.json", "paths.json"} <= set(info.getnames())
    config = channel.http.get(f"/v2/default/tools/linux-64/zzz_some_mutex/blobs/{found.json()['config']['digest']}")
    assert config.content == b"{}"
    again = channel.http.get(
        f"/v2/default/tools/linux-64/zzz_some_mutex/manifests/{found.headers['docker-content-digest']}"
    )
    assert again.content == found.content
    tags = channel.http.get("/v2/default/tools/linux-64/zzz_some_mutex/tags/list").json()
    assert tags == {"name": "default/tools/linux-64/zzz_some_mutex", "tags": ["1__e__2.0__p__local-0"]}


def test_the_index_has_the_same_packages_in_every_encoding(channel: RunningRegistry, lock: Lock) -> None:
    found = channel.http.get("/v2/tools/linux-64/repodata.json/manifests/latest")
    bodies = {}
    for layer in found.json()["layers"]:
        bodies[layer["mediaType"]] = _blob(channel.http, f"/v2/tools/linux-64/repodata.json/blobs/{layer['digest']}")
    plain = bodies["application/vnd.conda.repodata.v1+json"]
    assert zstandard.decompress(bodies["application/vnd.conda.repodata.v1+json+zst"]) == plain
    listed = json.loads(plain)
    assert set(listed["packages"]) == {"old-1.0-0.tar.bz2"}
    entry = listed["packages.conda"]["_some_mutex-1!2.0+local-0.conda"]
    assert entry["sha256"] == next(each.sha256 for each in lock.conda if each.name == "_some_mutex")
    assert not {"url", "channel", "fn"} & entry.keys(), "addresses are those of this channel"


def test_only_what_a_lock_of_the_environment_names_is_served(channel: RunningRegistry, lock: Lock) -> None:
    other = channel.submit("other")
    channel.solve(other.build_id, lock_of([next(each for each in lock.conda if each.name == "old")]))
    channel.complete(other.build_id)
    mutex = next(each for each in lock.conda if each.name == "_some_mutex")
    good = f"/v2/default/tools/linux-64/zzz_some_mutex/blobs/sha256:{mutex.sha256}"
    assert channel.http.get(good).status_code == 200
    for path in (
        f"/v2/default/other/linux-64/zzz_some_mutex/blobs/sha256:{mutex.sha256}",
        f"/v2/default/tools/linux-64/old/blobs/sha256:{mutex.sha256}",
        f"/v2/default/tools/blobs/sha256:{mutex.sha256}",
        f"/v2/default/tools/noarch/zzz_some_mutex/blobs/sha256:{mutex.sha256}",
        "/v2/default/tools/linux-64/zzz_some_mutex/manifests/1.0-0",
        "/v2/default/tools/linux-64/nothing/manifests/1.0-0",
        "/v2/default/tools/linux-64/nothing/tags/list",
        "/v2/default/tools/linux-64/repodata.json/manifests/v1",
        "/v2/default/none/linux-64/repodata.json/manifests/latest",
    ):
        reply = channel.http.get(path)
        assert reply.status_code == 404, path
        assert reply.json()["errors"][0]["code"] in ("BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "NAME_UNKNOWN")
    assert channel.http.get("/v2/default/tools/linux-64/old/blobs/sha256:abc").status_code == 400
    secret = good.replace("default/tools", "secret/tools")
    assert channel.http.get(secret).status_code == 401
    assert channel.admin.get(secret).status_code == 200


def test_bytes_that_have_gone_from_storage_are_fetched_again(channel: RunningRegistry, lock: Lock) -> None:
    old = next(each for each in lock.conda if each.name == "old")
    path = f"/v2/default/tools/linux-64/old/blobs/sha256:{old.sha256}"
    assert channel.http.get(path).status_code == 200
    channel.storage.delete(blob_key(old.sha256))
    with channel.database.transaction() as session:
        session.connection().exec_driver_sql("update package_copies set used_on = now() - interval '2 days'")
    assert channel.http.get(path).content == archive_of(old).read_bytes()


def test_an_archive_that_the_channel_does_not_have_is_told(channel: RunningRegistry, lock: Lock) -> None:
    old = next(each for each in lock.conda if each.name == "old")
    archive_of(old).unlink()
    reply = channel.http.get("/v2/default/tools/linux-64/old/manifests/1.0-0")
    assert reply.status_code == 404
    assert "does not exist" in reply.json()["errors"][0]["message"]


def _blob(http: httpx.Client, path: str) -> bytes:
    reply = http.get(path)
    assert reply.status_code == 200
    return reply.content
