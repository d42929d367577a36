"""Images run as settings say, are built upon without a network, exist in zstd and for other platforms."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from condarium.conda.base_image import store_layer, write_base
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Literal
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, tar_chunks
from condarium.database import builds
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST, BaseImage, ImageLayer
from condarium.domain.image.index import OCI_INDEX
from condarium.work.base_images import Choice, import_saved, store_directory
from tests.fixtures.containers import Client
from tests.fixtures.packager import RunningPackager, running_packager
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.registry import RunningRegistry, running_registry

HELLO = b"#!/bin/sh\necho hello from $CONDA_PREFIX\n"


def shell_files() -> dict[str, bytes]:
    """This machine's /bin/sh and the libraries it is linked to."""
    shell = Path("/bin/sh").resolve()
    linked = subprocess.run(["ldd", str(shell)], capture_output=True, text=True, check=True).stdout
    paths = [Path(word) for word in linked.split() if word.startswith("/")]
    return {"bin/sh": shell.read_bytes()} | {str(path).lstrip("/"): path.resolve().read_bytes() for path in paths}


def base_in(directory: Path, files: dict[str, bytes], architecture: str) -> Path:
    laid = [Laid(path, Literal(data), True) for path, data in files.items()]
    written = store_layer(directory, [*tar_chunks(laid), END_OF_ARCHIVE])
    layer = ImageLayer(written.digest, written.diff_id, written.size, "a base")
    write_base(directory, BaseImage(architecture, (layer,)))
    return directory


@pytest.fixture
def registry(database_url: str, storage_dir: Path, tmp_path: Path) -> Iterator[RunningRegistry]:
    """Its base has a shell."""
    with running_registry(database_url, storage_dir) as running:
        directory = base_in(tmp_path / "base", shell_files(), "amd64")
        store_directory(running.database, running.storage, directory)
        yield running


@pytest.fixture
def packager(registry: RunningRegistry, tmp_path: Path) -> Iterator[RunningPackager]:
    (tmp_path / "channel").mkdir()
    with running_packager(registry, tmp_path / "cache") as running:
        yield running


def serve(packager: RunningPackager, directory: Path, settings: dict[str, Any] | None = None, **lock: Any) -> int:
    record = make_package(directory / "channel", "hello", [Put("bin/hello", HELLO, 0o755)])
    made = packager.content.submit("env")
    packager.content.solve(made.build_id, lock_of([record], **lock))
    with packager.content.database.transaction() as session:
        builds.load(session, made.build_id).settings = settings or {}
    packager.content.complete(made.build_id)
    packager.ask(made.build_id, "DOCKER_MANIFEST")
    packager.wait(made.build_id, "DOCKER_MANIFEST")
    return made.build_id


def manifest(registry: RunningRegistry, tag: str, *types: str) -> Any:
    reply = registry.http.get(
        f"/v2/default/env/manifests/{tag}", headers={"accept": ", ".join(types or (OCI_MANIFEST,))}
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


def blob(registry: RunningRegistry, digest: str) -> bytes:
    return registry.http.get(f"/v2/default/env/blobs/{digest}", follow_redirects=True).content


@pytest.mark.client("docker")
def test_a_container_runs_as_settings_say(
    registry: RunningRegistry, packager: RunningPackager, docker: Client, tmp_path: Path
) -> None:
    settings = {
        "image_user": "1234:4321",
        "image_workdir": "/opt/env/bin",
        "image_labels": {"org.example.team": "blue"},
    }
    serve(packager, tmp_path, settings, virtual_packages=("__cuda=12.4=0",))
    image = f"{registry.address}/env:latest"
    docker.run("pull", image)
    try:
        shell = ("run", "--rm", "--network", "none", image)
        assert docker.run(*shell, "hello") == "hello from /opt/env\n"
        status = docker.run(
            *shell, "/bin/sh", "-c", "pwd; while read name value; do echo $name $value; done < /proc/self/status"
        )
        assert status.startswith("/opt/env/bin\n")
        assert "Uid: 1234 1234 1234 1234" in status
        assert "Gid: 4321 4321 4321 4321" in status
        read = json.loads(docker.run("inspect", image))[0]["Config"]
        assert read["Labels"]["org.example.team"] == "blue"
        assert read["Labels"]["condarium.platform"] == "linux-64"
        assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= set(read["Env"])
    finally:
        docker.attempt("rmi", "-f", image)


@pytest.mark.client("docker")
def test_users_build_upon_an_image(
    registry: RunningRegistry, packager: RunningPackager, docker: Client, tmp_path: Path
) -> None:
    serve(packager, tmp_path)
    context = tmp_path / "context"
    context.mkdir()
    (context / "app.sh").write_text("echo app; cat_made=$(hello); echo $cat_made\n")
    (context / "Dockerfile").write_text(
        f"FROM {registry.address}/env:latest\nCOPY app.sh /srv/app.sh\nRUN hello > /srv/made\nWORKDIR /srv\n"
        'CMD ["/bin/sh", "app.sh"]\n'
    )
    client = Client(docker.command, docker.environ | {"DOCKER_BUILDKIT": "0"})
    client.run("build", "--network", "none", "-t", "app:test", str(context))
    try:
        assert docker.run("run", "--rm", "--network", "none", "app:test") == "app\nhello from /opt/env\n"
    finally:
        docker.attempt("rmi", "-f", "app:test", f"{registry.address}/env:latest")


@pytest.mark.client("podman", "skopeo", "ctr")
def test_the_twin_in_zstd_is_made_when_it_is_asked_for(
    registry: RunningRegistry, packager: RunningPackager, podman: Client, skopeo: Client, ctr: Client, tmp_path: Path
) -> None:
    build_id = serve(packager, tmp_path)
    plain = manifest(registry, "latest")
    assert not any(tag.endswith("-zstd") for tag in registry.http.get("/v2/default/env/tags/list").json()["tags"])
    packager.slots.wake()
    twin = manifest(registry, "latest-zstd", OCI_MANIFEST, DOCKER_MANIFEST)
    assert packager.artifact(build_id, "DOCKER_MANIFEST_ZSTD").state == "READY"
    assert twin["mediaType"] == OCI_MANIFEST
    assert twin["config"]["digest"] == plain["config"]["digest"]
    assert twin["layers"][0] == plain["layers"][0], "the base as it is stored"
    for layer, other in zip(twin["layers"][1:], plain["layers"][1:], strict=True):
        assert layer["mediaType"].endswith("tar+zstd")
        assert layer["digest"] != other["digest"]
        assert (
            zstandard.ZstdDecompressor()
            .decompressobj(read_across_frames=True)
            .decompress(blob(registry, layer["digest"]))
        )
    refused = registry.http.get("/v2/default/env/manifests/latest-zstd", headers={"accept": DOCKER_MANIFEST})
    assert refused.status_code == 404
    tags = registry.http.get("/v2/default/env/tags/list").json()["tags"]
    with registry.database.transaction() as session:
        lock_hash = builds.lock_hashes(session, build_id)["linux-64"]
    assert {"latest-zstd", "g1-zstd", f"{lock_hash}-zstd"} <= set(tags)
    for tag in (each for each in tags if each.endswith("-zstd")):
        assert manifest(registry, tag) == twin
    image = f"{registry.address}/default/env:g1-zstd"
    podman.run("pull", "--tls-verify=false", image)
    assert podman.run("run", "--rm", "--network", "none", image, "hello") == "hello from /opt/env\n"
    ctr.run("images", "pull", "--plain-http", "--snapshotter", "native", image)
    skopeo.run("copy", "--src-tls-verify=false", f"docker://{image}", f"dir:{tmp_path}/copied")
    assert json.loads((tmp_path / "copied/manifest.json").read_text()) == twin


def test_an_image_for_arm_is_made_on_this_machine(
    registry: RunningRegistry, packager: RunningPackager, tmp_path: Path
) -> None:
    base = base_in(tmp_path / "arm", {"etc/base": b"arm"}, "arm64")
    import_saved(
        registry.database, registry.storage, base, platform="linux-aarch64", choice=Choice(None, True, "admin")
    )
    record = make_package(tmp_path / "channel", "hello", [Put("bin/hello", HELLO, 0o755)])
    locks = [lock_of([record], platform=platform) for platform in ("linux-64", "linux-aarch64")]
    build_id = packager.build("env", *locks, eager=["DOCKER_MANIFEST"])
    packager.wait(build_id, "DOCKER_MANIFEST")
    index = manifest(registry, "latest", OCI_INDEX)
    named = {item["platform"]["architecture"]: item for item in index["manifests"]}
    assert set(named) == {"amd64", "arm64"}
    for architecture, item in named.items():
        read = manifest(registry, item["digest"])
        config = json.loads(blob(registry, read["config"]["digest"]))
        assert config["architecture"] == architecture
    assert len({manifest(registry, item["digest"])["layers"][0]["digest"] for item in named.values()}) == 2
