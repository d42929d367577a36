"""An OCI image as bytes: config and manifests, a pure function of the lock, the base image and the layers.

Nothing of a build, an environment's name or a time is in them: the same lock gives the same digests anywhere, any day.
The same config serves the OCI and the Docker schema 2 manifest; a client gets the one that it accepts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from condarium.domain.canonical import canonical_json
from condarium.domain.image.options import ImageOptions
from condarium.domain.lock import Lock
from condarium.errors import ConfigError, InputFault

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PREFIX = "/opt/env"
CREATED = "1970-01-01T00:00:00Z"

_CONFIG_TYPES = {
    OCI_MANIFEST: "application/vnd.oci.image.config.v1+json",
    DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json",
}
_LAYER_TYPES = {
    (OCI_MANIFEST, "gzip"): "application/vnd.oci.image.layer.v1.tar+gzip",
    (OCI_MANIFEST, "zstd"): "application/vnd.oci.image.layer.v1.tar+zstd",
    (DOCKER_MANIFEST, "gzip"): "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
_ARCHITECTURES = {"linux-64": "amd64", "linux-aarch64": "arm64", "linux-ppc64le": "ppc64le", "linux-s390x": "s390x"}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NVIDIA = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
_NO_OPTIONS = ImageOptions()
_NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})
_OURS = ("PATH", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")  # a lock's variables do not replace these


@dataclass(frozen=True)
class ImageLayer:
    """A stored layer; `digest` and `diff_id` in hex without `sha256:`, `size` of the stored bytes, `note` for the
    history.
    """

    digest: str
    diff_id: str
    size: int
    note: str
    compression: Literal["gzip", "zstd"] = "gzip"


@dataclass(frozen=True)
class BaseImage:
    """What lies below the environment. Empty `layers` is an image from scratch, which has no shell and no C library.

    `digest` (`sha256:<hex>`) is of the base's own manifest, empty where that is not known. `source` is where it was
    pulled from, for people: images do not hang on it.
    """

    architecture: str
    layers: tuple[ImageLayer, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    digest: str = ""
    source: str = ""

    @property
    def identity(self) -> str:
        """sha256 in hex of what a base contributes to an image."""
        return hashlib.sha256(
            canonical_json(
                {
                    "architecture": self.architecture,
                    "layers": [[layer.digest, layer.note] for layer in self.layers],
                    "env": dict(self.env),
                    "entrypoint": list(self.entrypoint),
                    "user": self.user,
                    "working_dir": self.working_dir,
                    "annotations": self.annotations,
                }
            )
        ).hexdigest()

    @property
    def annotations(self) -> dict[str, str]:
        """What a manifest says about its base."""
        return {"org.opencontainers.image.base.digest": self.digest} if self.digest else {}


@dataclass(frozen=True)
class Image:
    """`manifests` by media type; the OCI one is always there, Docker's unless a layer is zstd. Digests in hex."""

    config: bytes
    config_digest: str
    manifests: Mapping[str, bytes]

    def manifest_digest(self, media_type: str) -> str:
        return hashlib.sha256(self.manifests[media_type]).hexdigest()


def architecture(platform: str) -> str:
    """The OCI name of a conda platform. Raises InputFault for one that containers do not have."""
    try:
        return _ARCHITECTURES[platform]
    except KeyError:
        raise InputFault(
            f"there are no images for the platform {platform}; possible are {', '.join(sorted(_ARCHITECTURES))}",
            reason="no-image-for-platform",
        ) from None


def platform_of(architecture: str) -> str:
    """The conda platform of an OCI architecture. Raises ConfigError for one that conda does not have."""
    for platform, name in _ARCHITECTURES.items():
        if name == architecture:
            return platform
    known = ", ".join(sorted(_ARCHITECTURES.values()))
    raise ConfigError(f"there is no conda platform for the architecture {architecture}; possible are {known}")


def render_image(
    lock: Lock,
    base: BaseImage,
    layers: Sequence[ImageLayer],
    prefix: str = PREFIX,
    *,
    options: ImageOptions = _NO_OPTIONS,
    annotations: Mapping[str, str] = _NO_ANNOTATIONS,
) -> Image:
    """The image of `lock`: the base's layers, then `layers`, bottom first.

    `annotations` are for the OCI manifest and must follow from what decides the layers.
    """
    config = image_config(lock, base, layers, prefix, options)
    every = [*base.layers, *layers]
    types = [OCI_MANIFEST]
    if all(layer.compression == "gzip" for layer in every):
        types.append(DOCKER_MANIFEST)
    notes = {**base.annotations, **annotations}
    manifests = {media_type: image_manifest(config, every, media_type, notes) for media_type in types}
    return Image(config, hashlib.sha256(config).hexdigest(), manifests)


def image_config(
    lock: Lock,
    base: BaseImage,
    layers: Sequence[ImageLayer],
    prefix: str = PREFIX,
    options: ImageOptions = _NO_OPTIONS,
) -> bytes:
    """The config blob. Raises ConfigError where the base is for another architecture than the lock."""
    wanted = architecture(lock.platform)
    if base.architecture != wanted:
        raise ConfigError(
            f"the base image is for {base.architecture}, the environment's platform {lock.platform} needs {wanted}"
        )
    every = [*base.layers, *layers]
    config: dict[str, object] = {
        "Env": [f"{name}={value}" for name, value in image_env(lock, base, prefix).items()],
        "Cmd": list(options.command),
        "WorkingDir": options.workdir or base.working_dir or "/",
        "Labels": {**options.labels, "condarium.lock": f"sha256:{lock.hash}", "condarium.platform": lock.platform},
    }
    if base.entrypoint:
        config["Entrypoint"] = list(base.entrypoint)
    if options.user or base.user:
        config["User"] = options.user or base.user
    return canonical_json(
        {
            "architecture": wanted,
            "os": "linux",
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in every]},
            "history": [{"created": CREATED, "created_by": layer.note} for layer in every],
        }
    )


def image_env(lock: Lock, base: BaseImage, prefix: str = PREFIX) -> dict[str, str]:
    """The environment's activation as a container sees it. CONDA_DEFAULT_ENV is the prefix: a name would change the
    digest.
    """
    env = {
        "PATH": f"{prefix}/bin:{base.env.get('PATH', _SYSTEM_PATH)}",
        "CONDA_PREFIX": prefix,
        "CONDA_DEFAULT_ENV": prefix,
        "LANG": "C.UTF-8",
    }
    env |= {name: value for name, value in sorted(base.env.items()) if name not in _OURS}
    if any(record.name == "ca-certificates" for record in lock.conda):
        env["SSL_CERT_FILE"] = f"{prefix}/ssl/cacert.pem"
    if any(text.startswith("__cuda=") or text == "__cuda" for text in lock.virtual_packages):
        # what NVIDIA's container runtime looks for; without it a container has no GPU
        env = _NVIDIA | env
    return env | {name: value for name, value in sorted(lock.variables.items()) if name not in _OURS}


def image_manifest(
    config: bytes,
    layers: Sequence[ImageLayer],
    media_type: str,
    annotations: Mapping[str, str] = _NO_ANNOTATIONS,
) -> bytes:
    """A manifest of all `layers`, the base's included; Docker's has no place for annotations.

    Raises ValueError for zstd layers in a Docker manifest.
    """
    descriptors = []
    for layer in layers:
        layer_type = _LAYER_TYPES.get((media_type, layer.compression))
        if layer_type is None:
            raise ValueError(f"{media_type} cannot name a layer compressed by {layer.compression}")
        descriptors.append({"mediaType": layer_type, "digest": f"sha256:{layer.digest}", "size": layer.size})
    digest = hashlib.sha256(config).hexdigest()
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": _CONFIG_TYPES[media_type], "digest": f"sha256:{digest}", "size": len(config)},
        "layers": descriptors,
    }
    if annotations and media_type == OCI_MANIFEST:
        manifest["annotations"] = dict(annotations)
    return canonical_json(manifest)


def layer_note(names: Sequence[str]) -> str:
    """What `docker history` shows for a layer of these packages (`name version`), in one bounded line."""
    text = ", ".join(names)
    return f"condarium {text}" if len(text) <= 120 else f"condarium {len(names)} packages: {text[:100]}..."
