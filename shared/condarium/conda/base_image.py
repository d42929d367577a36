"""The base image below every environment: one OCI image layout in a directory, which only an admin changes.

`python -m deploy.base_image DIRECTORY` makes the default one; `import_base` takes any image that was saved as an OCI
layout or by `docker save`. A packager loads it once with `load_base`, puts its blobs into the store, and renders images
on it.
"""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

import zstandard

from condarium.conda.oci_layout import DirectoryFiles, Files, open_files, saved_image
from condarium.conda.pieces.codec import codec
from condarium.conda.pieces.spool import CHUNK_BYTES
from condarium.conda.pieces.tar_stream import PackedStream, Written
from condarium.domain.canonical import canonical_json
from condarium.domain.image import CREATED, OCI_MANIFEST, BaseImage, ImageLayer, image_manifest
from condarium.errors import ConfigError, InvalidInput

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class StoredBase:
    """A base image and the file of each of its layers, by digest in hex."""

    image: BaseImage
    blobs: Mapping[str, Path]


def load_base(directory: Path) -> StoredBase:
    """Read the base in `directory`. Raises ConfigError where there is none, or where a blob is missing or cut short."""
    try:
        files = DirectoryFiles(directory)
        saved = saved_image(files, None)
    except InvalidInput as error:
        raise ConfigError(
            f"there is no base image in {directory}: {error}; make one with `python -m deploy.base_image {directory}`"
        ) from error
    layers = []
    blobs = {}
    notes = _notes(saved.config, len(saved.layers))
    for name, diff_id, note in zip(saved.layers, saved.config["rootfs"]["diff_ids"], notes, strict=True):
        path = directory / name
        if not path.is_file():
            raise ConfigError(f"the base image in {directory} lacks its blob {name}; make or import it again")
        digest = path.name
        layers.append(
            ImageLayer(digest, diff_id.removeprefix("sha256:"), path.stat().st_size, note, _compression(path))
        )
        blobs[digest] = path
    return StoredBase(_base_image(saved.config, layers, saved.digest), blobs)


def import_base(source: Path, directory: Path, architecture: str | None = None) -> StoredBase:
    """Take the image saved in `source` as the base in `directory`; every layer is checked against its digest on the
    way.

    Raises InvalidInput for anything that is not one whole image.
    """
    with open_files(source) as files:
        saved = saved_image(files, architecture)
        diff_ids = [str(diff_id).removeprefix("sha256:") for diff_id in saved.config["rootfs"]["diff_ids"]]
        if len(diff_ids) != len(saved.layers):
            raise InvalidInput(f"the saved image has {len(saved.layers)} layers, its config names {len(diff_ids)}")
        notes = _notes(saved.config, len(saved.layers))
        layers = [
            _import_layer(files, name, diff_id, note, directory)
            for name, diff_id, note in zip(saved.layers, diff_ids, notes, strict=True)
        ]
    return write_base(directory, _base_image(saved.config, layers))


def write_base(directory: Path, image: BaseImage) -> StoredBase:
    """Write config, manifest and index of a base whose layers already lie in `directory`; the index last, by rename."""
    config = canonical_json(
        {
            "architecture": image.architecture,
            "os": "linux",
            "created": CREATED,
            "config": {
                "Env": [f"{name}={value}" for name, value in image.env.items()],
                "Entrypoint": list(image.entrypoint),
                "User": image.user,
                "WorkingDir": image.working_dir,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in image.layers]},
            "history": [{"created": CREATED, "created_by": layer.note} for layer in image.layers],
        }
    )
    manifest = image_manifest(config, image.layers, OCI_MANIFEST)
    for blob in (config, manifest):
        _write(directory / "blobs" / "sha256" / hashlib.sha256(blob).hexdigest(), blob)
    descriptor = {
        "mediaType": OCI_MANIFEST,
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "size": len(manifest),
        "platform": {"architecture": image.architecture, "os": "linux"},
    }
    _write(directory / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
    _write(directory / "index.json", canonical_json({"schemaVersion": 2, "manifests": [descriptor]}))
    return load_base(directory)


def store_layer(directory: Path, chunks: Iterable[bytes]) -> Written:
    """Pack a tar, given as chunks, as a gzip layer into the layout in `directory`."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=blobs, prefix=".new-", delete=False) as file:
        stream = PackedStream(file, codec("gzip"))
        for chunk in chunks:
            stream.write(chunk)
        written = stream.close()
    _publish(Path(file.name), blobs / written.digest)
    return written


def _import_layer(files: Files, name: str, diff_id: str, note: str, directory: Path) -> ImageLayer:
    stream = files.open(name)
    if stream is None:
        raise InvalidInput(f"the saved image has no file {name}")
    with stream:
        start = stream.read(4)
        stream.seek(0)
        if not start.startswith((_GZIP_MAGIC, _ZSTD_MAGIC)):
            written = store_layer(directory, iter(lambda: stream.read(CHUNK_BYTES), b""))
            if written.diff_id != diff_id:
                raise InvalidInput(f"the layer {name} is not what the image's config says: it was changed or cut")
            return ImageLayer(written.digest, diff_id, written.size, note)
        return _copy_layer(stream, name, diff_id, note, directory)


def _copy_layer(stream: IO[bytes], name: str, diff_id: str, note: str, directory: Path) -> ImageLayer:
    """A compressed layer keeps its bytes; they are unpacked once to see that they are what the config says."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    with tempfile.NamedTemporaryFile(dir=blobs, prefix=".new-", delete=False) as file:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    path = Path(file.name)
    if _unpacked_sha256(path) != diff_id:
        path.unlink()
        raise InvalidInput(f"the layer {name} is not what the image's config says: it was changed or cut")
    _publish(path, blobs / digest.hexdigest())
    return ImageLayer(digest.hexdigest(), diff_id, size, note, _compression(blobs / digest.hexdigest()))


def _unpacked_sha256(path: Path) -> str | None:
    digest = hashlib.sha256()
    with path.open("rb") as packed:
        try:
            if _compression(path) == "gzip":
                unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=packed))
            else:
                unpacked = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            while chunk := unpacked.read(CHUNK_BYTES):
                digest.update(chunk)
        except (OSError, EOFError, zstandard.ZstdError):
            return None
    return digest.hexdigest()


def _compression(path: Path) -> Literal["gzip", "zstd"]:
    with path.open("rb") as file:
        return "zstd" if file.read(4) == _ZSTD_MAGIC else "gzip"


def _base_image(config: Mapping[str, Any], layers: Sequence[ImageLayer], digest: str = "") -> BaseImage:
    settings = config.get("config") or {}
    pairs = [str(pair).partition("=") for pair in settings.get("Env") or ()]
    return BaseImage(
        architecture=str(config["architecture"]),
        layers=tuple(layers),
        env={name: value for name, _, value in pairs},
        entrypoint=tuple(settings.get("Entrypoint") or ()),
        user=str(settings.get("User") or ""),
        working_dir=str(settings.get("WorkingDir") or ""),
        digest=digest,
    )


def _notes(config: Mapping[str, Any], count: int) -> list[str]:
    history = [item for item in config.get("history") or () if not item.get("empty_layer")]
    if len(history) != count:
        return [f"base image layer {number + 1}" for number in range(count)]
    return [str(item.get("created_by") or f"base image layer {number + 1}") for number, item in enumerate(history)]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        file.write(data)
    _publish(Path(file.name), path)


def _publish(staged: Path, path: Path) -> None:
    staged.chmod(0o644)
    descriptor = os.open(staged, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    staged.replace(path)
