"""Images: what a pull costs after a small change, what a new image of known packages costs, what is stored."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from benchmarks import measure
from benchmarks.scenarios import LARGE, SCIENCE, Figures, named
from benchmarks.wire import Wire
from condarium.database import migrate
from deploy.local.postgres import PrivatePostgres
from tests.fixtures.containers import Client, clean_environ, running_dockerd
from tests.fixtures.docker_registry import docker_registry
from tests.fixtures.system import System, running_system

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
#: with large.yml the biggest that the sample channel has
SCIENTIFIC = ("scipy", "scikit-learn", "matplotlib", "pandas", "pillow", "sympy", "seaborn", "fonttools")
#: two versions of one small package
OLD, NEW = "rich 13.9.4", "rich 14.2.0"


def alone(postgres: PrivatePostgres, amqp_url: str, channel: Path, directory: Path, times: int) -> Figures:
    """On systems of their own, with and without `.pyc` files in layers; `directory` has the base image in `base`."""
    found: Figures = {}
    for label, settings in (("without .pyc", {"image_pyc": False}), ("with .pyc", {})):
        name = f"images_{len(found)}"
        with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        url = postgres.database_url(name)
        migrate(url)
        more = {"CONDARIUM_BASE_IMAGE": str(directory / "base"), "CONDARIUM_SETTINGS": json.dumps(settings)}
        with running_system(database_url=url, amqp_url=amqp_url, channel=channel, **more) as system:
            found[f"image, {label}"] = rendered(system, "science", SCIENCE, times)
            if settings:
                continue
            found["image, many packages"] = rendered(system, "many", big(NEW), times)
            found["docker pull"] = pulls(system, directory, min(times, 3))
            found["20 environments"] = shared(system)
    return found


def big(rich: str) -> str:
    names = [name for name in yaml.safe_load(LARGE)["dependencies"] if name.split()[0] not in ("rich", *SCIENTIFIC)]
    return yaml.safe_dump({"name": "x", "channels": ["conda-forge"], "dependencies": [*names, *SCIENTIFIC, rich]})


def pulls(system: System, directory: Path, times: int) -> Figures:
    """`docker pull` of an environment after one small package changed, beside the same files in one layer."""
    references = [_image(system, named(big(rich), f"big-{number}")) for number, rich in enumerate((OLD, NEW))]
    manifests = [_manifest(system, reference) for reference in references]
    changed = _new_bytes(*manifests)
    with running_dockerd(directory / "docker") as address, Wire(system.registry) as wire:
        docker = Client(("docker",), clean_environ(directory, DOCKER_HOST=address))
        ours: list[dict[str, float]] = []
        for _ in range(times):
            _forget(docker)
            cold = _pull(docker, wire, references[0])
            updated = _pull(docker, wire, references[1])
            again = _pull(docker, wire, references[1])
            ours.append({**_named("first", cold), **_named("update", updated), **_named("again", again)})
        raw = _raw_megabytes(docker, f"{wire.address}/{references[1]}")
        one = _one_layer(docker, wire, directory, references, times)
    found = {name: measure.median([row[name] for row in ours]) for name in ours[0]}
    return {
        "environment, MB": raw,
        "layers": len(manifests[1]["layers"]),
        "changed layers, kB": round(changed / 1e3, 1),
        **found,
        "one layer": one,
        "update over one layer's": {
            "bytes": round(found["update, MB"] / one["update, MB"], 4),
            "times faster": round(one["update, s"] / found["update, s"], 1),
        },
    }


def rendered(system: System, label: str, text: str, times: int) -> Figures:
    """Lock to manifest, in the packager: of packages nobody has asked for, and of known ones (a variable differs)."""
    first, packages = _rendered(system, named(text, label))
    known = []
    for number in range(times):
        other = yaml.safe_load(named(text, label)) | {"variables": {"RUN": str(number)}}
        known.append(_rendered(system, yaml.safe_dump(other))[0])
    return {"packages": packages, "unknown, s": first, "known, s": measure.median(known)}


def _rendered(system: System, text: str) -> tuple[float, int]:
    build = system.submit(text)
    system.wait_build(build, seconds=300)
    system.wait_artifact(build, "DOCKER_MANIFEST", seconds=300)
    measure.idle(system, build)
    packages = system.api.get(f"/api/v1/build/{build}/packages/").json()["count"]
    return _seconds(system, build, "DOCKER_MANIFEST"), packages


def shared(system: System) -> Figures:
    """20 environments of about 40 packages that share about 30: bytes of all layers stored, over the sum of them."""
    every = [name for name in yaml.safe_load(LARGE)["dependencies"] if name.split()[0] not in ("python", "numpy")]
    common = ["python", *SCIENTIFIC[:4], *every[:14]]
    own = every[14:]
    total, stored = 0, {}
    for number in range(20):
        chosen = [own[(number * 5 + step) % len(own)] for step in range(8)]
        text = yaml.safe_dump({"name": "x", "channels": ["conda-forge"], "dependencies": [*common, *chosen]})
        manifest = _manifest(system, _image(system, named(text, f"shared-{number}")))
        for layer in manifest["layers"]:
            total += layer["size"]
            stored[layer["digest"]] = layer["size"]
    return {
        "sum, MB": round(total / 1e6, 1),
        "stored, MB": round(sum(stored.values()) / 1e6, 1),
        "ratio": round(sum(stored.values()) / total, 3),
    }


def _image(system: System, text: str) -> str:
    """Builds it; returns `default/name:latest` once its image is there."""
    build = system.submit(text)
    system.wait_build(build, seconds=300)
    system.wait_artifact(build, "DOCKER_MANIFEST", seconds=300)
    return f"default/{yaml.safe_load(text)['name']}:latest"


def _manifest(system: System, reference: str) -> dict[str, Any]:
    name, tag = reference.rsplit(":", 1)
    reply = httpx.get(f"http://{system.registry}/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
    reply.raise_for_status()
    return dict(reply.json())


def _new_bytes(old: dict[str, Any], new: dict[str, Any]) -> int:
    known = {layer["digest"] for layer in old["layers"]}
    return sum(int(layer["size"]) for layer in new["layers"] if layer["digest"] not in known)


def _seconds(system: System, build: int, artifact: str) -> float:
    """How long the packager worked on it, by its log."""
    wanted = re.compile(rf'"build": {build}\b.*"artifact": "{artifact}"|"artifact": "{artifact}".*"build": {build}\b')
    for line in system.one("packager").log.read_text().splitlines():
        if '"message": "ready"' in line and wanted.search(line):
            found = re.search(r'"seconds": ([0-9.e-]+)', line)
            assert found is not None
            return float(found[1])
    raise RuntimeError(f"the packager says nothing of {artifact} of build {build}")


def _pull(docker: Client, wire: Wire, reference: str) -> tuple[float, float, int]:
    """Seconds, MB, requests."""
    wire.reset()
    began = time.perf_counter()
    docker.run("pull", "-q", f"{wire.address}/{reference}")
    return time.perf_counter() - began, wire.received / 1e6, wire.requests


def _named(what: str, pulled: tuple[float, float, int]) -> dict[str, float]:
    seconds, megabytes, requests = pulled
    return {f"{what}, s": seconds, f"{what}, MB": megabytes, f"{what}, requests": requests}


def _forget(docker: Client) -> None:
    found = docker.run("images", "-aq").split()
    if found:
        docker.run("rmi", "-f", *sorted(set(found)))


def _raw_megabytes(docker: Client, reference: str) -> float:
    return round(int(docker.run("image", "inspect", "--format", "{{.Size}}", reference)) / 1e6, 1)


def _one_layer(docker: Client, wire: Wire, directory: Path, references: list[str], times: int) -> Figures:
    """The same two images, flattened, out of Debian's registry."""
    with docker_registry(directory / "registry") as other:
        target = other.host
        for reference in references:
            made = docker.run("create", f"{wire.address}/{reference}", "true").strip()
            flat = f"{target}/{reference.replace('default/', 'flat/')}"
            export = subprocess.Popen([*docker.command, "export", made], env=docker.environ, stdout=subprocess.PIPE)
            subprocess.run(
                [*docker.command, "import", "-", flat],
                env=docker.environ,
                stdin=export.stdout,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            export.wait()
            docker.run("rm", made)
            docker.run("push", "-q", flat)
        rows: list[dict[str, float]] = []
        with Wire(target) as flat_wire:
            for _ in range(times):
                _forget(docker)
                _pull(docker, flat_wire, references[0].replace("default/", "flat/"))
                rows.append(_named("update", _pull(docker, flat_wire, references[1].replace("default/", "flat/"))))
    return {name: measure.median([row[name] for row in rows]) for name in rows[0]}
