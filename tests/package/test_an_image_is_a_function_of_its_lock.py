"""Config and manifests: what container clients need, canonical bytes, and no trace of a build, a name or a time."""

import hashlib
import json
from typing import Any

import pytest

from condarium.domain.image import (
    DOCKER_MANIFEST,
    OCI_MANIFEST,
    BaseImage,
    ImageLayer,
    image_config,
    image_manifest,
    layer_note,
    render_image,
)
from condarium.domain.image.options import ImageOptions
from condarium.domain.lock import Lock
from condarium.errors import ConfigError, InputFault
from tests.fixtures.packages import lock_of, python_record

BASE = BaseImage("amd64", (ImageLayer("b" * 64, "c" * 64, 7, "base"),), {"SSL_CERT_FILE": "/etc/ssl/bundle.crt"})
LAYERS = [ImageLayer("d" * 64, "e" * 64, 70, "condarium python"), ImageLayer("f" * 64, "0" * 64, 80, "condarium top")]


def lock(**fields: Any) -> Lock:
    return lock_of([python_record()], **{"variables": {"A": "b=c"}, **fields})


def parsed(data: bytes) -> Any:
    return json.loads(data)


def test_config_and_manifests_agree() -> None:
    image = render_image(lock(), BASE, LAYERS)
    config = parsed(image.config)
    assert config["architecture"] == "amd64"
    assert config["os"] == "linux"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{c * 64}" for c in "ce0"]
    assert [item["created_by"] for item in config["history"]] == ["base", "condarium python", "condarium top"]
    assert image.config_digest == hashlib.sha256(image.config).hexdigest()
    for media_type, layer_type, config_type in (
        (OCI_MANIFEST, "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.config.v1+json"),
        (
            DOCKER_MANIFEST,
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.container.image.v1+json",
        ),
    ):
        manifest = parsed(image.manifests[media_type])
        assert manifest["mediaType"] == media_type
        assert manifest["schemaVersion"] == 2
        digest = f"sha256:{image.config_digest}"
        assert manifest["config"] == {"mediaType": config_type, "digest": digest, "size": len(image.config)}
        assert [layer["digest"] for layer in manifest["layers"]] == [f"sha256:{c * 64}" for c in "bdf"]
        assert [layer["size"] for layer in manifest["layers"]] == [7, 70, 80]
        assert {layer["mediaType"] for layer in manifest["layers"]} == {layer_type}
        assert image.manifest_digest(media_type) == hashlib.sha256(image.manifests[media_type]).hexdigest()


def test_the_environment_is_active_in_a_container() -> None:
    config = parsed(image_config(lock(), BASE, LAYERS))["config"]
    env = dict(pair.split("=", 1) for pair in config["Env"])
    assert env["PATH"].split(":")[0] == "/opt/env/bin"
    assert "/usr/bin" in env["PATH"].split(":")
    assert env["CONDA_PREFIX"] == env["CONDA_DEFAULT_ENV"] == "/opt/env"
    assert env["LANG"] == "C.UTF-8"
    assert env["SSL_CERT_FILE"] == "/etc/ssl/bundle.crt"
    assert env["A"] == "b=c"
    assert config["Cmd"] == ["/bin/sh"]


def test_variables_win_over_the_base_but_not_over_the_prefix() -> None:
    base = BaseImage("amd64", env={"LANG": "de", "X": "base", "PATH": "/base/bin", "CONDA_PREFIX": "/base"})
    variables = {"X": "lock", "PATH": "/evil", "CONDA_PREFIX": "/evil", "CONDA_DEFAULT_ENV": "evil"}
    config = parsed(image_config(lock(variables=variables), base, LAYERS))["config"]
    env = dict(pair.split("=", 1) for pair in config["Env"])
    assert env == {
        "PATH": "/opt/env/bin:/base/bin",
        "CONDA_PREFIX": "/opt/env",
        "CONDA_DEFAULT_ENV": "/opt/env",
        "LANG": "de",
        "X": "lock",
    }


def test_the_same_lock_gives_the_same_digests_and_another_variable_another_image() -> None:
    image = render_image(lock(), BASE, LAYERS)
    again = render_image(Lock.from_json(json.loads(json.dumps(lock().to_json()))), BASE, LAYERS)
    assert image == again
    assert render_image(lock(variables={"A": "other"}), BASE, LAYERS).config_digest != image.config_digest


def test_nothing_but_the_lock_the_base_and_the_layers_is_in_it() -> None:
    config = parsed(image_config(lock(), BASE, LAYERS))
    assert config["created"] == "1970-01-01T00:00:00Z"
    assert {item["created"] for item in config["history"]} == {"1970-01-01T00:00:00Z"}
    assert config["config"]["Labels"] == {"condarium.lock": f"sha256:{lock().hash}", "condarium.platform": "linux-64"}
    manifest = parsed(render_image(lock(), BASE, LAYERS).manifests[OCI_MANIFEST])
    assert set(manifest) == {"schemaVersion", "mediaType", "config", "layers"}


def test_zstd_layers_are_for_oci_clients_only() -> None:
    layers = [ImageLayer("d" * 64, "e" * 64, 70, "x", "zstd")]
    image = render_image(lock(), BASE, layers)
    assert set(image.manifests) == {OCI_MANIFEST}
    types = [layer["mediaType"] for layer in parsed(image.manifests[OCI_MANIFEST])["layers"]]
    assert types == ["application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar+zstd"]
    with pytest.raises(ValueError, match="zstd"):
        image_manifest(image.config, layers, DOCKER_MANIFEST)


def test_a_twin_in_zstd_has_the_same_config() -> None:
    twin = [ImageLayer("1" * 64, layer.diff_id, 5, layer.note, "zstd") for layer in LAYERS]
    assert render_image(lock(), BASE, twin).config == render_image(lock(), BASE, LAYERS).config


@pytest.mark.parametrize(("platform", "architecture"), [("linux-64", "amd64"), ("linux-aarch64", "arm64")])
def test_the_architecture_follows_the_platform(platform: str, architecture: str) -> None:
    config = image_config(lock(platform=platform), BaseImage(architecture), LAYERS)
    assert parsed(config)["architecture"] == architecture


def test_a_base_of_another_architecture_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"amd64.*linux-aarch64 needs arm64"):
        image_config(lock(platform="linux-aarch64"), BASE, LAYERS)
    with pytest.raises(InputFault, match="no images for the platform osx-arm64"):
        image_config(lock(platform="osx-arm64"), BASE, LAYERS)


def test_a_bases_user_and_entrypoint_stay() -> None:
    base = BaseImage("amd64", entrypoint=("/tini", "--"), user="1000")
    config = parsed(image_config(lock(), base, LAYERS))["config"]
    assert config["Entrypoint"] == ["/tini", "--"]
    assert config["User"] == "1000"
    assert base.identity != BaseImage("amd64").identity


def test_notes_are_bounded() -> None:
    assert layer_note(["numpy 2.4.6"]) == "condarium numpy 2.4.6"
    long = layer_note([f"package{n} 1.0" for n in range(100)])
    assert long.startswith("condarium 100 packages: package0 1.0, ")
    assert len(long) < 160


def test_settings_say_who_runs_where_and_with_which_labels() -> None:
    settings = {"image_user": "1000:1000", "image_workdir": "/srv", "image_labels": {"b": "2", "a": "1"}}
    options = ImageOptions.of({**settings, "image_base": "debian", "build_artifacts": []})
    base = BaseImage("amd64", user="nobody", working_dir="/base")
    config = parsed(image_config(lock(), base, LAYERS, options=options))["config"]
    assert (config["User"], config["WorkingDir"]) == ("1000:1000", "/srv")
    labels = {"a": "1", "b": "2", "condarium.lock": f"sha256:{lock().hash}", "condarium.platform": "linux-64"}
    assert config["Labels"] == labels
    without = parsed(image_config(lock(), base, LAYERS, options=ImageOptions.of({})))["config"]
    assert (without["User"], without["WorkingDir"]) == ("nobody", "/base")
    reordered = ImageOptions.of(
        {"image_labels": {"a": "1", "b": "2"}, "image_workdir": "/srv", "image_user": "1000:1000"}
    )
    assert reordered.identity == options.identity, "the base decides by its own identity"
    assert ImageOptions.of({"image_user": "1"}).identity != ImageOptions.of({}).identity


@pytest.mark.parametrize("virtual", ["__cuda=12.4=0", "__cuda"])
def test_a_gpu_that_was_assumed_is_asked_for(virtual: str) -> None:
    def env(**variables: str) -> dict[str, str]:
        assumed = lock(virtual_packages=("__glibc=2.28=0", virtual), variables=variables)
        return dict(pair.split("=", 1) for pair in parsed(image_config(assumed, BASE, LAYERS))["config"]["Env"])

    assert env()["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert env()["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert env(NVIDIA_VISIBLE_DEVICES="0")["NVIDIA_VISIBLE_DEVICES"] == "0"
    assert b"NVIDIA" not in image_config(lock(virtual_packages=("__cudaless=1=0",)), BASE, LAYERS)


def test_annotations_name_the_base_by_its_digest_in_the_oci_manifest_only() -> None:
    base = BaseImage("amd64", BASE.layers, digest=f"sha256:{'9' * 64}", source="docker.io/library/debian:12")
    image = render_image(lock(), base, LAYERS, annotations={"condarium.link-scripts.not-run": "bin/.x-post-link.sh"})
    assert parsed(image.manifests[OCI_MANIFEST])["annotations"] == {
        "condarium.link-scripts.not-run": "bin/.x-post-link.sh",
        "org.opencontainers.image.base.digest": f"sha256:{'9' * 64}",
    }
    assert "annotations" not in parsed(image.manifests[DOCKER_MANIFEST])
    elsewhere = BaseImage("amd64", BASE.layers, digest=base.digest, source="mirror.example/debian:12")
    assert render_image(lock(), elsewhere, LAYERS).manifests == render_image(lock(), base, LAYERS).manifests
    assert elsewhere.identity == base.identity
