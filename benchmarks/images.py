"""Images: what a pull costs after a small change, what a new image of known packages costs, what is stored."""

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks import measure
from benchmarks.scenarios import LARGE, Figures, named
from benchmarks.wire import Wire
from tests.fixtures.containers import Client, clean_environ, running_dockerd
from tests.fixtures.debian_registry import debian_registry
from tests.fixtures.system import System

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
#: with large.yml the biggest that the sample channel has
SCIENTIFIC = ("scipy", "scikit-learn", "matplotlib", "pandas", "pillow", "sympy", "seaborn", "fonttools")
#: two versions of one small package
OLD, NEW = "rich 13.9.4", "rich 14.2.0"


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


def rendered(system: System, times: int) -> Figures:
    """Lock to manifest, in the packager: of packages nobody has asked for, and of known ones (a variable differs)."""
    text = named(big(NEW), "rendered")
    build = system.submit(text)
    system.wait_build(build, seconds=300)
    system.wait_artifact(build, "DOCKER_MANIFEST", seconds=300)
    packages = system.api.get(f"/api/v1/build/{build}/packages/").json()["count"]
    known = []
    for number in range(times):
        other = yaml.safe_load(text) | {"variables": {"RUN": str(number)}}
        build = system.submit(yaml.safe_dump(other))
        system.wait_build(build)
        system.wait_artifact(build, "DOCKER_MANIFEST")
        known.append(_seconds(system, build, "DOCKER_MANIFEST"))
    return {"packages": packages, "known, s": measure.median(known)}


def unknown(system: System, text: str) -> Figures:
    """The first image on an empty storage; to be asked before anything else."""
    build = system.submit(named(text, "unknown"))
    system.wait_build(build, seconds=300)
    system.wait_artifact(build, "DOCKER_MANIFEST", seconds=300)
    packages = system.api.get(f"/api/v1/build/{build}/packages/").json()["count"]
    return {"packages": packages, "image, s": _seconds(system, build, "DOCKER_MANIFEST")}


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


def digests(system: System, texts: dict[str, str]) -> dict[str, str]:
    """The digest of the image of each, for comparison with those of another machine."""
    found = {}
    for name, text in texts.items():
        reply = httpx.head(
            f"http://{system.registry}/v2/{_image(system, named(text, name)).replace(':', '/manifests/')}",
            headers={"Accept": MANIFEST},
        )
        found[name] = reply.headers["docker-content-digest"]
    return found


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
    with debian_registry(directory / "registry") as target:
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
