"""From POST to each serving, as users meet them: directory, lockfiles, tarball, image."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.containers import Client
from tests.fixtures.system import ROOT, TOKEN, System

SPECIFICATION = """\
name: Trip-1
description: what a journey needs
channels: [conda-forge]
dependencies:
  - python
  - numpy >=2
  - click
  - flask
  - pip:
      - cowsay==6.1
variables:
  GREETING: hello there
"""
CHECK = (
    "import numpy, ssl, sqlite3, click, flask, cowsay, os, sys;"
    "print(int(numpy.arange(10).sum()), os.environ['GREETING'], cowsay.__version__, sys.prefix)"
)


@pytest.fixture(scope="session")
def trip(system: System) -> dict[str, Any]:
    """A completed build with everything made."""
    build_id = system.submit(SPECIFICATION)
    build = system.wait_build(build_id)
    for artifact in ("LOCKFILE", "YAML", "LOGS", "CONDA_PACK", "DOCKER_MANIFEST"):
        system.wait_artifact(build_id, artifact)
    return build


def python(prefix: Path, code: str, **environ: str) -> str:
    done = subprocess.run(
        [prefix / "bin" / "python", "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_directory_imports(system: System, trip: dict[str, Any]) -> None:
    link = system.link("Trip-1")
    prefix = Path(trip["condarium"]["prefix"])
    assert link.resolve() == prefix
    assert python(prefix, CHECK, GREETING="x").split() == ["45", "x", "6.1", str(prefix)]
    state = json.loads((prefix / "conda-meta" / "state").read_text())
    assert state["env_vars"]["GREETING"] == "hello there"
    assert "numpy" in (prefix / "conda-meta" / "history").read_text()


@pytest.mark.parametrize(("form", "mode"), [("gz", "z"), ("zst", "")])
def test_the_tarball_works_at_another_path(
    system: System, trip: dict[str, Any], tmp_path: Path, form: str, mode: str
) -> None:
    path = f"/api/v1/build/{trip['id']}/archive/"
    reply = system.api.get(path, params={"format": form, "wait": "60"}, follow_redirects=True)
    assert reply.status_code == 200, reply.text
    assert int(reply.headers["content-length"]) == len(reply.content)
    whole = tmp_path / f"env.tar.{form}"
    whole.write_bytes(reply.content)
    part = system.api.get(path, params={"format": form}, follow_redirects=True, headers={"Range": "bytes=1000-299999"})
    assert (part.status_code, part.content) == (206, reply.content[1000:300000])
    target = tmp_path / "somewhere else" if form == "zst" else tmp_path / "elsewhere"
    target.mkdir()
    unpack = ["tar", "--zstd"] if form == "zst" else ["tar", "-z"]
    subprocess.run([*unpack, "-xf", whole, "-C", target], check=True)
    subprocess.run([target / "bin" / "python", target / "bin" / "conda-unpack"], check=True)
    script = f'. bin/activate && python -c "{CHECK}" && flask --version && python -m pip --version || true'
    shell = ["bash", "-c", script]
    done = subprocess.run(shell, cwd=target, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == f"45 hello there 6.1 {target}", done.stderr
    assert "Flask" in done.stdout


def test_every_lockfile_names_the_same_packages(system: System, trip: dict[str, Any]) -> None:
    count = system.api.get(f"/api/v1/build/{trip['id']}/packages/", params={"size": 100}).json()
    packages = {(row["name"], row["version"]) for row in count["data"]}
    assert len(packages) == count["count"]

    def fetch(form: str) -> str:
        reply = system.api.get(
            f"/api/v1/build/{trip['id']}/lockfile/", params={"format": form, "wait": "60"}, follow_redirects=True
        )
        assert reply.status_code == 200, reply.text
        return reply.text

    locked = {(p["name"], p["version"]) for p in json.loads(fetch("json"))["package"]}
    assert locked == packages
    explicit = fetch("explicit")
    assert explicit.count("#sha256:") + explicit.count("cowsay") >= len(packages)
    assert "@EXPLICIT" in explicit
    for name, version in packages - {("cowsay", "6.1")}:
        assert f"/{name}-{version}-" in explicit
        assert f"/{name}-{version}-" in fetch("pixi")
    exported = system.api.get(f"/api/v1/build/{trip['id']}/yaml/", follow_redirects=True).text
    assert "cowsay==6.1" in exported
    # the export is a specification again, and means the same packages
    again = system.wait_build(system.submit(exported.replace("Trip-1", "again")))
    rows = system.api.get(f"/api/v1/build/{again['id']}/packages/", params={"size": 100}).json()["data"]
    assert {(row["name"], row["version"]) for row in rows} == packages


def test_docker_pulls_and_runs_the_image(system: System, trip: dict[str, Any], docker: Client) -> None:
    repository = f"{system.registry}/trip-1".replace("trip-1", _escaped("Trip-1"))
    image = f"{repository}:{trip['condarium']['locks']['linux-64']}"
    docker.run("pull", image)
    said = docker.run("run", "--rm", "--network", "none", image, "python", "-c", CHECK)
    assert said.split() == ["45", "hello", "there", "6.1", "/opt/env"]
    for tag in (
        "latest",
        f"g{trip['condarium']['generation']}",
        trip["condarium"]["key"],
        trip["specification"]["sha256"],
    ):
        docker.run("pull", f"{repository}:{tag}")
    digests = docker.run("images", "--digests", "--format", "{{.Digest}}", repository).split()
    assert (len(digests), len(set(digests))) == (5, 1)
    docker.run("rmi", "-f", image)


def test_podman_and_skopeo_take_it_too(system: System, trip: dict[str, Any], podman: Client, skopeo: Client) -> None:
    image = f"{system.registry}/default/{_escaped('Trip-1')}:latest"
    podman.run("pull", "--tls-verify=false", image)
    facts = json.loads(skopeo.run("inspect", "--tls-verify=false", f"docker://{image}"))
    assert facts["Architecture"] == "amd64"
    assert "CONDA_PREFIX=/opt/env" in facts["Env"]
    assert "GREETING=hello there" in facts["Env"]
    assert len(facts["Layers"]) <= 40
    text = json.dumps(facts["Env"])
    assert not re.search(r"Trip|default", text), "an image holds no name"


def _escaped(name: str) -> str:
    from condarium.domain.naming import encode_oci

    return encode_oci(name)


def test_the_same_lock_gives_the_same_image_under_another_name(system: System, trip: dict[str, Any]) -> None:
    other = system.wait_build(system.submit(SPECIFICATION.replace("Trip-1", "twin").replace("what a journey", "other")))
    assert other["condarium"]["locks"] == trip["condarium"]["locks"]
    system.wait_artifact(other["id"], "DOCKER_MANIFEST")

    def digest(repository: str) -> str:
        reply = system.api.head(f"http://{system.registry}/v2/{repository}/manifests/latest")
        assert reply.status_code == 200
        return str(reply.headers["docker-content-digest"])

    assert digest("twin") == digest(_escaped("Trip-1"))
    changed = system.wait_build(system.submit(SPECIFICATION.replace("hello there", "good bye")))
    assert changed["condarium"]["locks"] != trip["condarium"]["locks"]
    assert changed["condarium"]["prefix"] != trip["condarium"]["prefix"]


def condarium(system: System, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    settings = {"CONDARIUM_API_URL": system.url, "CONDARIUM_TOKEN": TOKEN, "PYTHONPATH": "shared"}
    return subprocess.run(
        [sys.executable, "-m", "condarium.cli.main", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TERM": "dumb"} | settings | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_line_goes_the_same_way(system: System, tmp_path: Path) -> None:
    file = tmp_path / "environment.yml"
    file.write_text("name: cli\nchannels: [conda-forge]\ndependencies: [python, click]\nvariables: {WHO: me}\n")
    made = condarium(system, "env", "create", str(file), "--json")
    assert made.returncode == 0, made.stderr
    build = json.loads(made.stdout)
    assert build["status"] == "COMPLETED"
    # The file's own hash; the deployment's settings (here: virtual packages) are part of what is built.
    assert len(condarium(system, "env", "hash", str(file)).stdout.strip()) == 64
    solved = json.loads(condarium(system, "solve", str(file), "--json").stdout)
    assert solved["specification"] == build["specification"]["sha256"]
    assert solved["locks"] == build["condarium"]["locks"]
    file.write_text(file.read_text().replace("click", "click, rich"))
    second = json.loads(condarium(system, "env", "create", str(file), "--json").stdout)
    assert condarium(system, "env", "rollback", "cli").returncode == 0
    shown = json.loads(condarium(system, "env", "show", "cli", "--json").stdout)
    assert shown["current_build_id"] == build["id"]
    assert "cli" in condarium(system, "env", "list").stdout
    listed = json.loads(condarium(system, "build", "list", "cli", "--json").stdout)
    assert [row["id"] for row in listed] == [second["id"], build["id"]]
    assert "python" in condarium(system, "build", "show", "cli").stdout
    assert "packages for linux-64" in condarium(system, "build", "logs", "--follow", str(second["id"])).stdout
    saved = condarium(system, "download", "cli", "conda-lock", "-o", str(tmp_path), "--json")
    assert saved.returncode == 0, saved.stderr
    assert Path(json.loads(saved.stdout)["path"]).read_text().startswith(("#", "version", "metadata"))
    saved = condarium(system, "download", "cli", "installer", "-o", str(tmp_path), "--json")
    assert saved.returncode == 0, saved.stderr
    installer = Path(json.loads(saved.stdout)["path"])
    assert (installer.name, os.access(installer, os.X_OK)) == ("cli.sh", True)
    command = [str(installer), "-b", "-p", str(tmp_path / "installed")]
    subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True)
    python = tmp_path / "installed" / "bin" / "python"
    asked = subprocess.run(
        [python, "-c", "import click, sys; print(sys.prefix)"], env={}, capture_output=True, text=True
    )
    assert asked.stdout == f"{tmp_path}/installed\n", asked.stderr
    code = "import click, os, sys; print(os.environ['WHO'], os.environ['CONDA_DEFAULT_ENV'], sys.prefix)"
    local = condarium(system, "env", "shell", "cli", "--", "python", "-c", code, CONDARIUM_STORE=str(system.store))
    assert local.stdout.split()[:2] == ["me", "default/cli"], local.stderr
    remote = condarium(system, "env", "shell", "cli", "python", "-c", code, XDG_CACHE_HOME=str(tmp_path))
    assert remote.stdout.split()[2].startswith(str(tmp_path)), remote.stderr
    assert condarium(system, "env", "delete", "cli", "--yes").returncode == 0
    gone = condarium(system, "env", "show", "cli")
    assert (gone.returncode, "does not exist" in gone.stderr) == (4, True)


def test_the_command_line_says_what_is_wrong(system: System, tmp_path: Path) -> None:
    file = tmp_path / "environment.yml"
    file.write_text("name: x\ndependencies: [python]\nchanels: [conda-forge]\n")
    wrong = condarium(system, "env", "create", str(file))
    assert wrong.returncode == 2
    assert "chanels" in wrong.stderr
    assert "channels" in wrong.stderr
    denied = condarium(system, "env", "delete", "x", "--yes", CONDARIUM_TOKEN="wrong")
    assert (denied.returncode, "not authorized" in denied.stderr) == (3, True)
    away = condarium(system, "env", "list", CONDARIUM_API_URL="http://127.0.0.1:9")
    assert (away.returncode, "is Condarium running there?" in away.stderr) == (5, True)
    typo = condarium(system, "check-config", CONDARIUM_API_PRT="1")
    assert (typo.returncode, "did you mean CONDARIUM_API_PORT" in typo.stderr) == (2, True)
    assert condarium(system, "check-config").returncode == 0


def test_an_unsolvable_specification_says_so_everywhere(system: System, docker: Client, tmp_path: Path) -> None:
    text = "name: never\nchannels: [conda-forge]\ndependencies: [python, numpy 99.*]\n"
    build = system.wait_build(system.submit(text), status="FAILED")
    assert "numpy 99" in build["status_info"].replace("==", " ").replace("numpy  99", "numpy 99")
    assert "the sample channel" in build["status_info"]
    system.wait_artifact(build["id"], "LOGS")
    log = system.api.get(f"/api/v1/build/{build['id']}/logs/", follow_redirects=True).text
    assert build["status_info"].splitlines()[0] in log
    file = tmp_path / "environment.yml"
    file.write_text(text)
    said = condarium(system, "env", "create", str(file))
    assert said.returncode == 1
    assert "99" in said.stderr
    pulled = docker.attempt("pull", f"{system.registry}/never:{build['specification']['sha256']}")
    assert pulled.returncode != 0
    assert "99" in pulled.stderr, pulled.stderr
    failed = system.api.get(f"/api/v1/build/{build['id']}/archive/", params={"wait": "30"})
    assert failed.status_code == 409, failed.text
