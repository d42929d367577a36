"""The info directory of a package archive, by itself: what registries serve beside the archive."""

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from condarium.conda.archive import WINDOW_BYTES, bad_package, malformed_as_input_fault, safe_name
from condarium.conda.pieces.codec import codec
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Literal
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, PackedStream, Sink, entry_chunks
from condarium.errors import InputFault

#: bytes of all of them together
_LIMIT = 256 << 20


@dataclass(frozen=True)
class Info:
    """What went into the sink (sha256 in hex, bytes), and info/index.json as it is in the package."""

    digest: str
    size: int
    index: bytes


def read_info(archive: Path, sink: Sink) -> Info:
    """Writes the files below `info/` to `sink` as a tar.gz, the same for the same archive on every machine.

    Raises InputFault for a malformed archive, WorldFault when the disk fails.
    """
    filename = archive.name
    index: bytes | None = None
    total = 0
    packed = PackedStream(sink, codec("gzip"))
    with (
        malformed_as_input_fault(filename),
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
            for chunk in entry_chunks(name.removeprefix("info/"), Laid("", Literal(data))):
                packed.write(chunk)
    if index is None:
        raise InputFault(f"package {filename} is malformed: has no info/index.json", reason="bad-package")
    packed.write(END_OF_ARCHIVE)
    made = packed.close()
    return Info(made.digest, made.size, index)


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
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        with (
            outer.open(name) as compressed,
            decompressor.stream_reader(compressed, read_across_frames=True, closefd=False) as stream,
        ):
            yield stream
