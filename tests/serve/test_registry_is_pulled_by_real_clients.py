"""skopeo, docker, podman and ctr pull what the registry serves, log in, and print its sentences."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.containers import Client
from tests.fixtures.registry import TOKEN, RunningRegistry
from tests.fixtures.served import make_lock


def shell_files() -> dict[str, bytes]:
    """This machine's /bin/sh and the libraries it is linked to, as the files of an image."""
    shell = Path("/bin/sh").resolve()
    linked = subprocess.run(["ldd", str(shell)], capture_output=True, text=True, check=True).stdout
    paths = [Path(word) for word in linked.split() if word.startswith("/")]
    return {"bin/sh": shell.read_bytes()} | {str(path).lstrip("/"): path.resolve().read_bytes() for path in paths}


@pytest.fixture
def pulled(registry: RunningRegistry) -> RunningRegistry:
    """default/hello and secret/hello: a layer with a shell."""
    for namespace in ("default", "secret"):
        made = registry.submit("hello", namespace=namespace)
        registry.solve(made.build_id, make_lock(f"hello-{namespace}"))
        registry.complete(made.build_id)
        registry.make_image(made.build_id, shell_files())
    return registry


@pytest.mark.client("skopeo")
def test_skopeo_copies_with_and_without_login(pulled: RunningRegistry, skopeo: Client, tmp_path: Path) -> None:
    skopeo.run("copy", "--src-tls-verify=false", f"docker://{pulled.address}/hello:latest", f"dir:{tmp_path}/hello")
    manifest = json.loads((tmp_path / "hello/manifest.json").read_text())
    digest = manifest["layers"][0]["digest"].removeprefix("sha256:")
    assert (tmp_path / "hello" / digest).read_bytes() == pulled.layers[digest]
    source = f"docker://{pulled.address}/secret/hello:latest"
    refused = skopeo.attempt("copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/secret")
    assert refused.returncode != 0
    assert "log in" in refused.stderr or "unauthorized" in refused.stderr
    wrong = skopeo.attempt("login", "--tls-verify=false", "-u", "me", "-p", "wrong", pulled.address)
    assert wrong.returncode != 0
    skopeo.run("login", "--tls-verify=false", "-u", "me", "--password-stdin", pulled.address, stdin=TOKEN)
    skopeo.run("copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/secret")
    tags = json.loads(skopeo.run("list-tags", "--tls-verify=false", f"docker://{pulled.address}/secret/hello"))["Tags"]
    assert "latest" in tags
    skopeo.run("inspect", "--tls-verify=false", f"docker://{pulled.address}/hello:g1")


@pytest.mark.client("docker")
def test_docker_pulls_runs_logs_in_and_prints_our_sentences(pulled: RunningRegistry, docker: Client) -> None:
    image = f"{pulled.address}/hello:latest"
    docker.run("pull", image)
    try:
        assert "up to date" in docker.run("pull", image)
        said = docker.run("run", "--rm", "--network", "none", image, "/bin/sh", "-c", "echo $CONDA_PREFIX")
        assert said == "/opt/env\n"
    finally:
        docker.run("rmi", "-f", image)

    private = f"{pulled.address}/secret/hello:latest"
    assert docker.attempt("pull", private).returncode != 0
    wrong = docker.attempt("login", "-u", "me", "-p", "wrong", pulled.address)
    assert wrong.returncode != 0
    docker.run("login", "-u", "me", "--password-stdin", pulled.address, stdin=TOKEN)
    docker.run("pull", private)
    docker.run("rmi", "-f", private)

    made = pulled.submit("broken")
    pulled.solve(made.build_id)
    pulled.fail(made.build_id, "Cannot solve the request because of:\n└─ numpy 99.* does not exist")
    refused = docker.attempt("pull", f"{pulled.address}/broken:latest")
    assert refused.returncode != 0
    assert "manifest unknown" in refused.stderr
    assert "└─ numpy 99.* does not exist" in refused.stderr
    missing = docker.attempt("pull", f"{pulled.address}/nope:latest")
    assert "there is no environment nope" in missing.stderr


@pytest.mark.client("podman")
def test_podman_pulls_and_runs(pulled: RunningRegistry, podman: Client) -> None:
    image = f"{pulled.address}/hello:latest"
    podman.run("pull", "--tls-verify=false", image)
    command = ("/bin/sh", "-c", "echo $CONDA_PREFIX")
    assert podman.run("run", "--rm", "--network", "none", image, *command) == "/opt/env\n"
    podman.run("login", "--tls-verify=false", "-u", "me", "--password-stdin", pulled.address, stdin=TOKEN)
    podman.run("pull", "--tls-verify=false", f"{pulled.address}/secret/hello:latest")


@pytest.mark.client("ctr")
def test_containerd_pulls(pulled: RunningRegistry, ctr: Client) -> None:
    ctr.run("images", "pull", "--plain-http", "--snapshotter", "native", f"{pulled.address}/default/hello:latest")
    private = f"{pulled.address}/secret/hello:latest"
    assert ctr.attempt("images", "pull", "--plain-http", "--snapshotter", "native", private).returncode != 0
    ctr.run("images", "pull", "--plain-http", "--snapshotter", "native", "--user", f"me:{TOKEN}", private)
