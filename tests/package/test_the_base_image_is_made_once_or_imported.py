"""The default base is reproducible and enough to run an environment; any saved image may take its place."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from condarium.conda.base_image import StoredBase, import_base, load_base
from condarium.conda.pieces.layer import make_layer
from condarium.conda.pieces.spool import Spool
from condarium.conda.pieces.tar_stream import tar_chunks
from condarium.conda.pieces.top_layer import make_top_layer
from condarium.domain.image.plan import plan_layers
from condarium.errors import ConfigError, InvalidInput
from deploy.base_image.make import base_files, make_base
from deploy.base_image.packages import BaseProblem, download, host_architecture
from tests.fixtures.environments import SolveSample

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> StoredBase:
    try:
        return make_base(tmp_path_factory.mktemp("base"))
    except BaseProblem as problem:
        pytest.skip(f"apt gives no packages here: {problem}")


def unpack(layers: list[Path], root: Path) -> None:
    root.mkdir()
    for layer in layers:
        subprocess.run(["tar", "-xpf", layer, "-C", root], check=True)


def test_it_is_one_layer_that_says_what_it_is_made_of(base: StoredBase) -> None:
    (layer,) = base.image.layers
    assert "libc6 " in layer.note
    assert "ca-certificates " in layer.note
    data = base.blobs[layer.digest].read_bytes()
    assert hashlib.sha256(data).hexdigest() == layer.digest
    assert hashlib.sha256(gzip.decompress(data)).hexdigest() == layer.diff_id
    assert base.image.architecture == host_architecture()


def test_it_holds_a_shell_the_libraries_of_wheels_and_certificates(base: StoredBase) -> None:
    (path,) = base.blobs.values()
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar}
        bundle = tar.extractfile(base.image.env["SSL_CERT_FILE"].lstrip("/"))
        assert bundle is not None
        assert bundle.read().count(b"BEGIN CERTIFICATE") > 100
    names = {name.rsplit("/", 1)[-1] for name in members}
    assert {"libc.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "libexpat.so.1", "dash", "busybox"} <= names
    assert members["usr/bin/sh"].linkname == "dash"
    assert members["bin"].linkname == "usr/bin"
    assert members["tmp"].mode == 0o1777
    assert members["root"].mode == 0o700
    assert any(name.endswith("libc6/copyright") for name in members), "licences stay with what they are for"
    assert not any(name.startswith("usr/share/man/") for name in members)


def test_same_packages_same_bytes(base: StoredBase, tmp_path: Path) -> None:
    debs = download(tmp_path, base.image.architecture)
    digest = hashlib.sha256()
    with Spool() as spool:
        for chunk in tar_chunks(base_files(debs, spool).values()):
            digest.update(chunk)
    digest.update(bytes(1024))
    assert digest.hexdigest() == base.image.layers[0].diff_id


def test_one_for_another_architecture_is_made_here(tmp_path: Path) -> None:
    other = "arm64" if host_architecture() == "amd64" else "amd64"
    try:
        base = make_base(tmp_path / "base", other)
    except BaseProblem as problem:
        pytest.skip(f"apt gives no packages of {other} here: {problem}")
    assert base.image.architecture == other
    with tarfile.open(base.blobs[base.image.layers[0].digest]) as tar:
        shell = tar.extractfile(tar.getmember("usr/bin/dash"))
        assert shell is not None
        head = shell.read(20)
    machine = {"arm64": 183, "amd64": 62}[other]
    assert (head[:4], int.from_bytes(head[18:20], "little")) == (b"\x7fELF", machine)


def test_made_once_it_stays(base: StoredBase) -> None:
    directory = next(iter(base.blobs.values())).parents[2]
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    assert make_base(directory) == base
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before


def in_root(root: Path, *command: str) -> str:
    """Run in the unpacked image, in a mount namespace of its own: the loader finds libraries by /proc."""
    enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i "$@"'
    variables = ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "PATH=/usr/bin"]
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", enter, root, *variables, *command],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot")
def test_an_environment_runs_on_it(base: StoredBase, solve_sample: SolveSample, tmp_path: Path) -> None:
    environment = solve_sample("python", "numpy", "flask", variables={"GREETING": "hello"})
    paths = list(base.blobs.values())
    for number, members in enumerate(plan_layers(environment.lock)):
        paths.append(tmp_path / f"{number}.tar.gz")
        with paths[-1].open("wb") as sink:
            make_layer(environment.lock, members, environment.archives, sink=sink)
    paths.append(tmp_path / "top.tar.gz")
    with paths[-1].open("wb") as sink:
        make_top_layer(environment.lock, sink=sink)
    root = tmp_path / "root"
    unpack(paths, root)
    (root / "proc").mkdir(exist_ok=True)
    script = "import numpy, ssl, sqlite3; ssl.create_default_context(); print(numpy.__file__, numpy.add(1, 2))"
    found = in_root(root, "/opt/env/bin/python", "-c", script)
    assert found.startswith("/opt/env/lib/python3")
    assert found.endswith(" 3\n")
    assert "Flask" in in_root(root, "/opt/env/bin/flask", "--version")
    assert in_root(root, "sh", "-c", "ls / >/dev/null && id -un") == "root\n"
    shutil.rmtree(root)


# ---- imported bases

LAYER_TAR = io.BytesIO()
with tarfile.open(fileobj=LAYER_TAR, mode="w") as _tar:
    _info = tarfile.TarInfo("hello")
    _info.size = 5
    _tar.addfile(_info, io.BytesIO(b"world"))
RAW = LAYER_TAR.getvalue()
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["PATH=/usr/bin", "A=b=c"], "Entrypoint": ["/init"], "User": "me"},
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(RAW).hexdigest()}"]},
    "history": [{"created_by": "ADD hello"}, {"created_by": "ENV", "empty_layer": True}],
}


def layout(layer: bytes, config: Any = CONFIG, platforms: tuple[str, ...] = ("amd64",)) -> dict[str, bytes]:
    """The files of an OCI layout with one manifest per platform."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return f"sha256:{digest}"

    manifests = []
    for platform in platforms:
        config_digest = blob(json.dumps({**config, "architecture": platform}).encode())
        manifest = {"config": {"digest": config_digest}, "layers": [{"digest": blob(layer)}]}
        digest = blob(json.dumps(manifest).encode())
        manifests.append({"digest": digest, "platform": {"architecture": platform}})
    files["index.json"] = json.dumps({"manifests": manifests}).encode()
    return files


def docker_save(layer: bytes, config: Any = CONFIG) -> dict[str, bytes]:
    manifest = [{"Config": "config.json", "RepoTags": ["x:y"], "Layers": ["abc/layer.tar"]}]
    return {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(config).encode(),
        "abc/layer.tar": layer,
    }


def save(files: dict[str, bytes], path: Path, *, as_tar: bool) -> Path:
    if not as_tar:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


PACKINGS = {"tar": RAW, "gzip": gzip.compress(RAW), "zstd": zstandard.compress(RAW)}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("as_tar", [True, False])
@pytest.mark.parametrize("kind", [layout, docker_save])
def test_a_saved_image_is_taken_as_it_is(tmp_path: Path, packing: str, as_tar: bool, kind: Any) -> None:
    source = save(kind(PACKINGS[packing]), tmp_path / "saved", as_tar=as_tar)
    imported = import_base(source, tmp_path / "base")
    assert imported == load_base(tmp_path / "base")
    image = imported.image
    (layer,) = image.layers
    assert layer.diff_id == hashlib.sha256(RAW).hexdigest()
    assert layer.compression == ("zstd" if packing == "zstd" else "gzip")
    assert layer.note == "ADD hello"
    assert image.env == {"PATH": "/usr/bin", "A": "b=c"}
    assert (image.architecture, image.entrypoint, image.user) == ("amd64", ("/init",), "me")
    stored = imported.blobs[layer.digest].read_bytes()
    assert hashlib.sha256(stored).hexdigest() == layer.digest
    if packing != "tar":
        assert stored == PACKINGS[packing], "a packed layer keeps its digest, which clients may have already"


def test_of_several_platforms_one_is_chosen(tmp_path: Path) -> None:
    source = save(layout(RAW, platforms=("amd64", "arm64")), tmp_path / "saved", as_tar=False)
    assert import_base(source, tmp_path / "base", "arm64").image.architecture == "arm64"
    with pytest.raises(InvalidInput, match="amd64, arm64"):
        import_base(source, tmp_path / "other")
    with pytest.raises(InvalidInput, match="0 manifests for s390x"):
        import_base(source, tmp_path / "other", "s390x")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (layout(gzip.compress(RAW + b"x")), "changed or cut"),
        (layout(gzip.compress(RAW)[:-9]), "changed or cut"),
        (layout(RAW[:-1]), "changed or cut"),
        (docker_save(b""), "changed or cut"),
        ({**docker_save(RAW), "manifest.json": b"[]"}, "0 images"),
        ({**docker_save(RAW), "manifest.json": b"{"}, "malformed"),
        ({**docker_save(RAW), "manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'}, "no file"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:../../x"}]}'}, "no digest"),
        ({"something": b"else"}, "no file manifest.json"),
    ],
)
def test_a_file_that_is_no_whole_image_is_a_sentence(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    for as_tar in (True, False):
        source = save(files, tmp_path / f"saved-{as_tar}", as_tar=as_tar)
        with pytest.raises(InvalidInput, match=words):
            import_base(source, tmp_path / "base")
        assert not (tmp_path / "base" / "index.json").exists()
    (tmp_path / "text").write_text("no tar")
    with pytest.raises(InvalidInput, match="neither an OCI layout nor a tar"):
        import_base(tmp_path / "text", tmp_path / "base")


def test_without_a_base_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"python -m deploy\.base"):
        load_base(tmp_path)
    imported = import_base(save(layout(RAW), tmp_path / "saved", as_tar=True), tmp_path / "base")
    next(iter(imported.blobs.values())).unlink()
    with pytest.raises(ConfigError, match="lacks its blob"):
        load_base(tmp_path / "base")


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.base_image", tmp_path / "base", "--from"]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
    saved = save(layout(RAW), tmp_path / "saved", as_tar=True)
    done = subprocess.run([*command, saved], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:7]) == (0, "sha256:"), done.stderr
    done = subprocess.run([*command, tmp_path / "absent"], env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "absent is neither an OCI layout nor a tar" in done.stderr
    assert "Traceback" not in done.stderr
