"""An image on disk: an OCI image layout as a directory or tar, or what `docker save` writes."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from condarium.errors import InvalidInput

_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_JSON_LIMIT_BYTES = 16 << 20


class Files(Protocol):
    """The files of a saved image by their names; None where there is no such file."""

    def open(self, name: str) -> IO[bytes] | None: ...


@dataclass(frozen=True)
class DirectoryFiles:
    directory: Path

    def open(self, name: str) -> IO[bytes] | None:
        path = (self.directory / name).resolve()
        is_inside = path.is_relative_to(self.directory.resolve())
        return path.open("rb") if is_inside and path.is_file() else None


@dataclass(frozen=True)
class TarFiles:
    tar: tarfile.TarFile

    def open(self, name: str) -> IO[bytes] | None:
        for candidate in (name, f"./{name}"):
            try:
                return self.tar.extractfile(candidate)
            except KeyError:
                continue
        return None


@dataclass(frozen=True)
class SavedImage:
    """The config as JSON, and the name of each layer's file, bottom first; `digest` (`sha256:<hex>`) of its manifest,
    empty where it has none.
    """

    config: Mapping[str, Any]
    layers: tuple[str, ...]
    digest: str = ""


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Raises InvalidInput where `path` is neither a directory nor a tar."""
    if path.is_dir():
        yield DirectoryFiles(path)
        return
    try:
        tar = tarfile.open(path)  # noqa: SIM115 closed below
    except (OSError, tarfile.TarError) as error:
        raise InvalidInput(f"{path} is neither an OCI layout nor a tar of an image: {error}") from error
    with tar:
        yield TarFiles(tar)


def saved_image(files: Files, architecture: str | None) -> SavedImage:
    """The image for `architecture` (None: the only one there). Raises InvalidInput for anything else than one image."""
    try:
        return _of_layout(files, architecture) if _is_there(files, "index.json") else _of_docker_save(files)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise InvalidInput(f"the saved image is malformed: {type(error).__name__}: {error}") from error


def _is_there(files: Files, name: str) -> bool:
    stream = files.open(name)
    if stream is not None:
        stream.close()
    return stream is not None


def _json(files: Files, name: str) -> Any:
    stream = files.open(name)
    if stream is None:
        raise InvalidInput(f"the saved image has no file {name}")
    with stream:
        return json.loads(stream.read(_JSON_LIMIT_BYTES))


def blob_name(digest: str) -> str:
    """The file of a blob in a layout; `digest` as `sha256:<hex>`."""
    algorithm, _, hexadecimal = digest.partition(":")
    if not algorithm.isalnum() or not hexadecimal.isalnum():
        raise InvalidInput(f"the saved image names a blob {digest!r}, which is no digest")
    return f"blobs/{algorithm}/{hexadecimal}"


def _of_layout(files: Files, architecture: str | None) -> SavedImage:
    descriptor = _one_manifest(files, _json(files, "index.json")["manifests"], architecture)
    manifest = _json(files, blob_name(descriptor["digest"]))
    config = _json(files, blob_name(manifest["config"]["digest"]))
    return SavedImage(config, tuple(blob_name(layer["digest"]) for layer in manifest["layers"]), descriptor["digest"])


def _one_manifest(files: Files, descriptors: list[dict[str, Any]], architecture: str | None) -> dict[str, Any]:
    candidates: list[dict[str, Any]] = []
    for descriptor in descriptors:
        if descriptor.get("mediaType") in _INDEX_TYPES:
            nested = _json(files, blob_name(descriptor["digest"]))["manifests"]
            candidates += [item for item in nested if item.get("mediaType") not in _INDEX_TYPES]
        else:
            candidates.append(descriptor)
    platforms = [candidate.get("platform") or {} for candidate in candidates]
    fitting = [
        candidate
        for candidate, platform in zip(candidates, platforms, strict=True)
        if architecture is None or platform.get("architecture", architecture) == architecture
    ]
    if len(fitting) != 1:
        names = ", ".join(sorted(str(platform.get("architecture", "unnamed")) for platform in platforms))
        raise InvalidInput(
            f"the saved image has {len(fitting)} manifests for {architecture or 'any architecture'} "
            f"(there: {names}); save one image for one architecture"
        )
    return fitting[0]


def _of_docker_save(files: Files) -> SavedImage:
    images = _json(files, "manifest.json")
    if len(images) != 1:
        raise InvalidInput(f"the saved file holds {len(images)} images; save exactly one")
    return SavedImage(_json(files, images[0]["Config"]), tuple(images[0]["Layers"]))
