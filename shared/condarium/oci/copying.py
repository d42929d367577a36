"""An image of another registry into an OCI image layout on disk, every byte checked against its digest."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condarium.domain.image import architecture
from condarium.errors import InputFault, InvalidInput
from condarium.oci.connection import Connection
from condarium.oci.reference import Reference
from condarium.oci.registry import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Document,
    get_blob,
    get_manifest,
    open_blob,
)

#: of one image, as it is stored
IMAGE_BYTES = 8 << 30
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_LAYER = re.compile(
    r"application/vnd\.(?:oci\.image\.layer\.v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.diff\.tar(?:\.gzip)?)\Z"
)


@dataclass(frozen=True)
class Copied:
    """The image of one platform: `digest` (`sha256:<hex>`) of its manifest, `architecture` as OCI calls it."""

    digest: str
    architecture: str


def find_image(connection: Connection, reference: Reference, platform: str | None) -> Document:
    """The manifest of the image for a conda platform; None: the only one there is.

    Raises InputFault, WorldFault.
    """
    found = get_manifest(connection, reference.repository, reference.target)
    if found.media_type in INDEX_TYPES:
        digest = _of_platform(found, reference, platform)
        found = get_manifest(connection, reference.repository, digest, types=MANIFEST_TYPES)
    if found.media_type not in MANIFEST_TYPES:
        raise InputFault(f"{reference} is no image but {found.media_type or 'nothing named'}", reason="registry-error")
    return found


def copy_image(connection: Connection, reference: Reference, platform: str | None, directory: Path) -> Copied:
    """Writes the image for a conda platform (None: the only one there is) as an OCI image layout.

    Raises InputFault for what is no usable image, WorldFault.
    """
    document = find_image(connection, reference, platform)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifest = document.content
    config = _config(connection, reference, manifest.get("config"))
    layers = manifest.get("layers")
    if not isinstance(layers, list) or sum(_named(layer, reference)[1] for layer in layers) > IMAGE_BYTES:
        raise InputFault(f"{reference} has no layers, or more than {IMAGE_BYTES >> 30} GiB", reason="registry-error")
    for layer in layers:
        _copy_layer(connection, reference, layer, blobs)
    (blobs / _named(manifest["config"], reference)[0].removeprefix("sha256:")).write_bytes(config)
    (blobs / document.digest.removeprefix("sha256:")).write_bytes(document.body)
    descriptor = {"mediaType": document.media_type, "digest": document.digest, "size": len(document.body)}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    return Copied(document.digest, _architecture(config, reference, platform))


def _config(connection: Connection, reference: Reference, descriptor: Any) -> bytes:
    digest, size = _named(descriptor, reference)
    return get_blob(connection, reference.repository, digest, size=size)


def _copy_layer(connection: Connection, reference: Reference, layer: Any, blobs: Path) -> None:
    digest, size = _named(layer, reference)
    media_type = layer.get("mediaType")
    if not isinstance(media_type, str) or not _LAYER.match(media_type):
        raise InputFault(
            f"{reference} has a layer of type {str(media_type)[:100]}; layers are read as tar, plain, gzip or zstd",
            reason="registry-error",
        )
    path = blobs / digest.removeprefix("sha256:")
    if path.exists():
        return
    with open_blob(connection, reference.repository, digest, size=size) as chunks, path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)


def _of_platform(index: Document, reference: Reference, platform: str | None) -> str:
    wanted = architecture(platform) if platform else None
    found: dict[str, str] = {}
    for item in index.content.get("manifests") or ():
        if not isinstance(item, dict) or item.get("mediaType") not in MANIFEST_TYPES:
            continue
        place = item.get("platform") or {}
        if place.get("os") == "linux" and isinstance(place.get("architecture"), str):
            found.setdefault(place["architecture"], _named(item, reference)[0])
    if wanted is None and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        raise InputFault(
            f"{reference} has images for {', '.join(sorted(found)) or 'nothing of linux'}; "
            + (f"none for {platform}, which is {wanted} there" if platform else "say for which platform it is wanted"),
            reason="no-such-image",
        )
    return found[wanted or ""]


def _named(descriptor: Any, reference: Reference) -> tuple[str, int]:
    """Digest and size of a descriptor."""
    if isinstance(descriptor, dict):
        digest, size = descriptor.get("digest"), descriptor.get("size")
        if isinstance(digest, str) and _DIGEST.match(digest) and isinstance(size, int) and size >= 0:
            return digest, size
    raise InputFault(
        f"the manifest of {reference} is malformed, or has digests other than sha256", reason="registry-error"
    )


def _architecture(config: bytes, reference: Reference, platform: str | None) -> str:
    try:
        read = json.loads(config)
        found = str(read["architecture"])
    except (ValueError, KeyError, TypeError):
        raise InputFault(f"the config of {reference} says no architecture", reason="registry-error") from None
    if platform and found != architecture(platform):
        raise InvalidInput(f"{reference} is for {found}, wanted is {platform}, which is {architecture(platform)} there")
    return found
