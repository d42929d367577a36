"""Each way in which an environment is served, tried as a user tries it."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from condarium.client import ApiError, Client

WAIT_SECONDS = 300.0
COMMAND_SECONDS = 600.0
FORMATS = ("conda-lock", "explicit", "pixi", "environment")


class ServingFailed(Exception):
    """A sentence: what was tried, and what it said."""


@dataclass(frozen=True)
class Subject:
    """A completed build and what to import out of it."""

    client: Client
    build: int
    namespace: str
    name: str
    prefix: Path
    imports: str
    registry: str

    @property
    def image(self) -> str:
        return f"{self.registry}/{self.namespace}/{self.name}:latest"


def directory(subject: Subject) -> str:
    """Import out of the prefix, by the environment's symlink."""
    link = subject.prefix.parent / "envs" / subject.name
    until = time.monotonic() + 10
    while not link.exists() and time.monotonic() < until:  # the link follows the build's end by a moment
        time.sleep(0.05)
    _run(str(link / "bin/python"), "-B", "-c", f"import {subject.imports}")
    return f"{link}: import {subject.imports}"


def lockfiles(subject: Subject) -> str:
    """Every format, and a look whether it is what it says."""
    for kind in FORMATS:
        with subject.client.download(
            f"build/{subject.build}/lockfile/", wait_seconds=WAIT_SECONDS, format=kind
        ) as reply:
            text = reply.read().decode()
        good = "@EXPLICIT" in text if kind == "explicit" else isinstance(yaml.safe_load(text), dict)
        if not good:
            raise ServingFailed(f"the {kind} lockfile is none: {text[:200]}")
    return ", ".join(FORMATS)


def tarball(subject: Subject) -> str:
    """Unpack at a path of its own, conda-unpack, import."""
    with tempfile.TemporaryDirectory(prefix="condarium-demo-") as scratch:
        target = Path(scratch) / "env"
        file = Path(scratch) / "env.tar.gz"
        size = subject.client.save(f"build/{subject.build}/archive/", file, wait_seconds=WAIT_SECONDS)
        target.mkdir()
        _run("tar", "-xzf", str(file), "-C", str(target))
        _run(str(target / "bin/python"), str(target / "bin/conda-unpack"))
        _run(str(target / "bin/python"), "-c", f"import {subject.imports}")
    return f"{size / 1e6:.0f} MB, unpacked elsewhere: import {subject.imports}"


def image(subject: Subject) -> str:
    """Pull and run with docker where a daemon answers; else copy with skopeo; else ask the registry for every byte."""
    program = f"import {subject.imports}"
    if _succeeds("docker", "version", "--format", "{{.Server.Version}}"):
        _run("docker", "pull", "--quiet", subject.image)
        _run("docker", "run", "--rm", "--network", "none", subject.image, "python", "-c", program)
        return f"docker run {subject.image}: {program}"
    if shutil.which("skopeo"):
        with tempfile.TemporaryDirectory(prefix="condarium-demo-") as scratch:
            options = ("--insecure-policy", "copy", "--quiet", "--src-tls-verify=false")
            _run("skopeo", *options, f"docker://{subject.image}", f"dir:{scratch}/image")
            size = sum(file.stat().st_size for file in Path(scratch, "image").iterdir())
        return f"skopeo copy docker://{subject.image} ({size / 1e6:.0f} MB; no docker daemon answers here)"
    return _image_by_hand(subject)


def _image_by_hand(subject: Subject) -> str:
    base = f"http://{subject.registry}/v2/{subject.namespace}/{subject.name}"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}
    with httpx.Client(timeout=WAIT_SECONDS, follow_redirects=True) as http:
        manifest = http.get(f"{base}/manifests/latest", headers=accept).raise_for_status().json()
        if "manifests" in manifest:
            digest = manifest["manifests"][0]["digest"]
            manifest = http.get(f"{base}/manifests/{digest}", headers=accept).raise_for_status().json()
        sizes = [
            len(http.get(f"{base}/blobs/{layer['digest']}").raise_for_status().content) for layer in manifest["layers"]
        ]
    return f"{len(sizes)} layers, {sum(sizes) / 1e6:.0f} MB (neither docker nor skopeo is here)"


def events(subject: Subject) -> str:
    """Replay what happened to the build."""
    seen = []
    for message in subject.client.events(after=0, build=str(subject.build)):
        if message.event == "live":
            break
        seen.append(message.event.rpartition(".")[0])
    if "build.completed" not in seen:
        raise ServingFailed(f"no build.completed among the events: {seen}")
    return f"{len(seen)} replayed: {', '.join(dict.fromkeys(seen))}"


SERVINGS: Mapping[str, Callable[[Subject], str]] = {
    "directory": directory,
    "lockfiles": lockfiles,
    "tarball": tarball,
    "image": image,
    "events": events,
}


def attempt(kind: str, subject: Subject) -> str:
    """What was seen, in words.

    Raises:
        ServingFailed: with what went wrong.
    """
    try:
        return SERVINGS[kind](subject)
    except (ApiError, httpx.HTTPError, OSError, yaml.YAMLError) as error:
        raise ServingFailed(str(error)) from error


def needs_login(registry: str, namespace: str, name: str) -> bool:
    """True when the registry wants credentials for a pull of this image."""
    try:
        address = f"http://{registry}/v2/{namespace}/{name}/manifests/latest"
        reply = httpx.head(address, timeout=WAIT_SECONDS, headers={"Accept": "*/*"})
    except httpx.HTTPError:
        return True
    if reply.status_code != 401:
        return False
    # A registry may ask everybody to fetch a token first, and give one to anybody.
    challenge = reply.headers.get("www-authenticate", "")
    return not challenge.startswith("Bearer")


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ServingFailed(f"{' '.join(command)} took longer than {COMMAND_SECONDS:.0f} s") from None
    if done.returncode:
        raise ServingFailed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-600:]}")
