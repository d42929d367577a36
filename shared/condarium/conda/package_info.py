"""The info directory of a package archive, by itself: what registries serve beside the archive."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from condarium.conda.archive import bad_package, malformed_as_input_fault, safe_name
from condarium.conda.pieces.tar_stream import Sink
from condarium.errors import InputFault

#: bytes of all of them together
_LIMIT = 256 << 20


@dataclass(frozen=True)
class Info:
    """What went into the sink (sha256 in hex, bytes), and info/index.json as it is in the package."""

    digest: str
    size: int
    index: bytes


class _Measured:
    """A sink that knows what went through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._sink.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)


def read_info(archive: Path, sink: Sink) -> Info:
    """Writes the files below `info/` to `sink` as a tar.gz, the same for the same archive.

    Raises InputFault for a malformed archive, WorldFault when the disk fails.
    """
    filename = archive.name
    index: bytes | None = None
    total = 0
    measured = _Measured(sink)
    with (
        malformed_as_input_fault(filename),
        gzip.GzipFile(filename="", mode="wb", fileobj=cast(BinaryIO, measured), mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
        _opened(archive) as stream,
        tarfile.open(fileobj=stream, mode="r|") as source,
    ):
        for member in source:
            name = safe_name(member.name, filename)
            content = source.extractfile(member) if member.isreg() else None
            if name is None or content is None or not name.startswith("info/"):
                continue
            total += member.size
            if total > _LIMIT:
                raise bad_package(filename, f"has more than {_LIMIT} bytes of metadata")
            data = content.read()
            if name == "info/index.json":
                index = data
            kept = tarfile.TarInfo(name.removeprefix("info/"))
            kept.size, kept.mode = len(data), 0o644
            target.addfile(kept, io.BytesIO(data))
    if index is None:
        raise InputFault(f"package {filename} is malformed: has no info/index.json", reason="bad-package")
    return Info(measured.sha256.hexdigest(), measured.size, index)


@contextmanager
def _opened(archive: Path) -> Iterator[BinaryIO]:
    """The tar in which the metadata is."""
    if not archive.name.endswith(".conda"):
        import bz2

        with bz2.open(archive, "rb") as stream:
            yield stream  # type: ignore[misc]
        return
    with zipfile.ZipFile(archive) as outer:
        name = next((each for each in outer.namelist() if each.startswith("info-") and each.endswith(".tar.zst")), None)
        if name is None:
            raise bad_package(archive.name, "holds no info-*.tar.zst")
        decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        with (
            outer.open(name) as compressed,
            decompressor.stream_reader(compressed, read_across_frames=True, closefd=False) as stream,
        ):
            yield stream
