"""The metadata that a channel of packages serves beside an archive: read in little memory, packed alike everywhere."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from condarium.conda.package_info import read_info
from condarium.errors import InputFault

INDEX = b'{"name": "alpha"}'


def archive(directory: Path, window_log: int = 20, more: bytes = b"") -> Path:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as target:
        for name, data in (("info/index.json", INDEX), ("info/about.json", b"{}" + more)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 12345
            target.addfile(entry, io.BytesIO(data))
    path = directory / "alpha-1.0-0.conda"
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window_log)
    with zipfile.ZipFile(path, "w") as outer:
        frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        outer.writestr("info-alpha-1.0-0.tar.zst", frame.compress(tar.getvalue()) + frame.flush())
    return path


def test_it_holds_what_is_below_info_in_bytes_that_are_known(tmp_path: Path) -> None:
    sink = io.BytesIO()
    made = read_info(archive(tmp_path), sink)
    assert (made.index, made.size) == (INDEX, len(sink.getvalue()))
    assert made.digest == hashlib.sha256(sink.getvalue()).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(sink.getvalue()))) as tar:
        assert {entry.name: tar.extractfile(entry).read() for entry in tar} == {  # type: ignore[union-attr]
            "index.json": INDEX,
            "about.json": b"{}",
        }


def test_a_window_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="alpha"):
        read_info(archive(tmp_path, window_log=30), io.BytesIO())
